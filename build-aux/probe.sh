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
# Optional: the Cyrus SASL library, for smtpd_sasl_type = cyrus.
has_cyrus=0
if echo '#include <sasl/saslplug.h>
int main(void){return sasl_server_init((void *)0, "x");}' |
	$CC -include sys/types.h -include sasl/sasl.h -x c -o /dev/null - -lsasl2 2>/dev/null; then
	has_cyrus=1
fi
echo "HAS_CYRUS := $has_cyrus"
