#!/bin/sh
# Writes make variables with what this compiler and system have. Run by the Makefile.
CC=${CC:-cc}
try() {
	echo 'int main(void){return 0;}' | $CC "$@" -Werror -x c -o /dev/null - 2>/dev/null
}
flags=
for flag in -ftrivial-auto-var-init=zero; do
	try $flag && flags="$flags $flag"
done
echo "PROBED_CFLAGS := $flags"
