# For the scripts beside it, which bash sources this into: building and private installing.
# shellcheck shell=bash
MAKE=${MAKE:-make} SAN=${SAN:-0} CC=${CC:-cc}
jobs=$(nproc)

# What make is called with, so that all calls mean the same build.
make_build() {
	"$MAKE" --no-print-directory STRICT="${STRICT:-0}" SAN="$SAN" CC="$CC" "$@"
}

# Runs a command; its output is shown only when it fails.
quietly() {
	local log rc=0
	log=$(mktemp)
	"$@" >"$log" 2>&1 || rc=$?
	[ $rc = 0 ] || tail -n 100 "$log"
	rm -f "$log"
	return $rc
}

# Installs into a directory of its own, which every uid may enter, and sets what
# tests/conformance/run looks for. The group is a number when there is no such group here: the
# cases run with accounts of their own, and that number is postdrop there.
install_private() {
	private_root=$(mktemp -d /tmp/postern-test.XXXXXX)
	chmod 755 "$private_root"
	trap 'rm -rf --one-file-system "$private_root"' EXIT
	local group=postdrop
	getent group postdrop >/dev/null || group=5091
	quietly make_build install DESTDIR="$private_root/root" SETGID_GROUP=$group || return 1
	export MTA=postern MTA_ROOT=$private_root/root
	if [ "$SAN" = 1 ]; then
		export SAN_REPORTS=$private_root/san-reports
		: >"$SAN_REPORTS"
		chmod 666 "$SAN_REPORTS"
	fi
}

# Shows what the sanitizers found; false when there is something. Other words that a program says
# to nobody end up in the file as well.
no_reports() {
	[ "$SAN" = 1 ] && grep -qE 'Sanitizer|runtime error:' "$SAN_REPORTS" || return 0
	echo "== sanitizer reports (the first 200 lines)"
	head -n 200 "$SAN_REPORTS"
	return 1
}
