# Postern: build, install, test. GNU make; no configure step.
#
#   make                build everything into build/
#   make demo           a complete private instance under ./run (make demo-stop ends it)
#   make check          install what the tests need, build, run the tests
#   make check-long     the same with a minute of fuzzing for each parser
#   make fresh          both in a new minimal Debian system of their own
#   make probe          what a daemon that was taken over can do (as root)
#   make soak, crash, powercut, faults, diskfull, quota, readonly, memory, descriptors, processes
#                       nothing is lost whatever fails; N= for the length
#   make unit, style, fuzz (T=seconds for each, JOBS=at a time), fuzz-replay, fuzz-coverage, fuzz-sessions
#   make conformance (ARGS="test_smtpd.py -k bdat")
#   make attack         hostile peers and users (ARGS as above)
#   make install        into $(DESTDIR)$(prefix); make users makes the accounts
#
# STRICT=1 makes warnings errors, SAN=1 builds with ASan and UBSan, CC=clang works as well.

CC ?= cc
prefix ?= /usr
sbindir ?= $(prefix)/sbin
bindir ?= $(prefix)/bin
daemondir ?= $(prefix)/lib/postern
confdir ?= /etc/postern
aliases ?= /etc/aliases
spooldir ?= /var/spool/postern
datadir ?= /var/lib/postern
mandir ?= $(prefix)/share/man
SAN ?= 0
STRICT ?= 0

BUILD := build/$(notdir $(CC))$(if $(filter 1,$(SAN)),-san)
# Targets that may run before there is a compiler.
NO_BUILD := check check-long fresh demo demo-stop style clean users
ifneq ($(or $(filter-out $(NO_BUILD),$(MAKECMDGOALS)),$(if $(MAKECMDGOALS),,all)),)
include $(BUILD)/probe.mk
endif

WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wformat=2 -Wvla -Wundef -Wcast-qual \
	-Wwrite-strings -Wimplicit-fallthrough $(if $(filter 1,$(STRICT)),-Werror)
HARDENING := -O2 -fstack-protector-strong -fstack-clash-protection -fcf-protection -fno-common \
	-fno-strict-aliasing $(PROBED_CFLAGS)
FORTIFY := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
ifeq ($(SAN),1)
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
HARDENING := -O1 -g -fno-omit-frame-pointer -fno-common -fno-strict-aliasing \
	$(SANITIZE)
FORTIFY := -U_FORTIFY_SOURCE
SAN_OBJECT := $(BUILD)/tests/san/reports.o
endif
PATHS := -DPOSTERN_CONFIG_DIRECTORY='"$(confdir)"' -DPOSTERN_DAEMON_DIRECTORY='"$(daemondir)"' \
	-DPOSTERN_COMMAND_DIRECTORY='"$(sbindir)"' -DPOSTERN_QUEUE_DIRECTORY='"$(spooldir)"' \
	-DPOSTERN_DATA_DIRECTORY='"$(datadir)"' -DPOSTERN_BIN_DIRECTORY='"$(bindir)"'
CPPFLAGS_ALL := -std=c17 -D_GNU_SOURCE -Ilib -I. $(FORTIFY) $(PATHS) $(CPPFLAGS)
CFLAGS_ALL := -g $(WARNINGS) $(HARDENING) -fPIE -MMD -MP $(CFLAGS)
LDFLAGS_ALL := -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed \
	$(SANITIZE) $(LDFLAGS)

# Programs: a folder of sources each, or one file. Each is linked against the library and what
# LIBS_name lists.
LIB_SOURCES := $(wildcard lib/*/*.c)
DAEMONS := $(notdir $(patsubst %/,%,$(dir $(wildcard master/master.c smtpd/smtpd.c smtpd/front/front.c cleanup/cleanup.c \
	qmgr/qmgr.c smtp/smtp.c local/*/*.c services/*/*.c))))
DAEMONS := $(sort $(if $(filter 1,$(HAS_CYRUS)),$(DAEMONS),$(filter-out cyrusauth,$(DAEMONS))))
COMMANDS := $(sort $(patsubst commands/%.c,%,$(wildcard commands/*.c)) \
	$(notdir $(patsubst %/,%,$(dir $(wildcard commands/*/*.c)))))

sources_of = $(extra_$(1)) $(wildcard $(1)/*.c services/$(1)/*.c smtpd/$(1)/*.c local/$(1)/*.c commands/$(1)/*.c commands/$(1).c)
# Sources that a program takes from another folder.
extra_postern := master/config.c master/absent.c
extra_posttls-finger := $(filter-out smtp/smtp.c,$(wildcard smtp/*.c)) \
	$(addprefix services/dns/,cache.c carrier.c files.c local.c questions.c)
extra_postalias := $(filter-out %/postmap.c,$(wildcard commands/postmap/*.c))
objects_of = $(patsubst %.c,$(BUILD)/%.o,$(1))

LIBS_BASE := -lpcre2-8 -licuuc -lssl -lcrypto -lcrypt
LIBS_TABLES := -ldb-5.3 -llmdb -lcdb
LIBS_proxymap := $(LIBS_TABLES)
LIBS_postmap := $(LIBS_TABLES)
LIBS_postalias := $(LIBS_TABLES)
LIBS_keysign := $(LIBS_TABLES)
LIBS_verify := $(LIBS_TABLES)
LIBS_dns := -lcares
LIBS_posttls-finger := -lcares $(LIBS_TABLES)
LIBS_cyrusauth := -lsasl2
LIBS_policyfetch := -lcurl
LIBS_https_test := -lcurl
LIBS_tlsrpt := -lz
LIBS_postconf := $(LIBS_TABLES)

PROGRAMS := $(addprefix $(BUILD)/bin/,$(DAEMONS) $(COMMANDS))
LIBRARY := $(BUILD)/libpostern.a
MADE_PAGES := build/man/man5/postconf.5 $(patsubst %,build/%,$(wildcard man/man8/*.8))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/*_test.c))

.PHONY: all bench bench-budget bench-growth clean unit style fuzz fuzz-replay fuzz-coverage fuzz-sessions \
	fuzz-merge check check-long fresh conformance attack \
	probe demo demo-stop install users
all: $(PROGRAMS) $(MADE_PAGES)

$(BUILD)/probe.mk: build-aux/probe.sh
	@mkdir -p $(@D)
	@CC='$(CC)' sh build-aux/probe.sh >$@

$(BUILD)/%.o: %.c $(BUILD)/probe.mk
	@mkdir -p $(@D)
	@echo '  CC   $@'
	@$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c -o $@ $<

$(LIBRARY): $(call objects_of,$(LIB_SOURCES))
	@rm -f $@
	@ar rcs $@ $^

define program_rule
$(BUILD)/bin/$(1): $(call objects_of,$(call sources_of,$(1))) $(SAN_OBJECT) $(LIBRARY)
	@mkdir -p $$(@D)
	@echo '  LINK $$@'
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $$@ $$^ $(LIBS_$(1)) $(LIBS_BASE)
endef
$(foreach p,$(DAEMONS) $(COMMANDS),$(eval $(call program_rule,$(p))))

# Sources of a program that its unit test or fuzz target takes in: all but the one with main().
extra_cleanup_test := $(filter-out cleanup/cleanup.c,$(wildcard cleanup/*.c))
extra_cleanup_fuzz := $(extra_cleanup_test)
extra_log_record_fuzz := services/postlogd/record.c
extra_net_list_fuzz := smtpd/front/net_list.c
extra_net_list_test := smtpd/front/net_list.c
extra_pace_test := smtpd/front/pace.c
extra_policy_answer_fuzz := smtpd/policy_answer.c
extra_https_test := services/policyfetch/https.c
extra_verify_record_fuzz := services/verify/record.c
extra_tlsrpt_fuzz := services/tlsrpt/sums.c
extra_tlsrpt_record_fuzz := services/tlsrpt/record.c
extra_tlsrpt_test := services/tlsrpt/sums.c services/tlsrpt/record.c
extra_sts_cache_test := $(addprefix services/policyfetch/,sts_cache.c sts_entry.c locks.c)
extra_sts_entry_fuzz := services/policyfetch/sts_entry.c
extra_smtp_test := $(filter-out smtp/smtp.c,$(wildcard smtp/*.c))

.SECONDEXPANSION:
$(BUILD)/unit/%: tests/unit/%.c $$(call objects_of,$$(extra_$$*)) $(LIBRARY)
	@mkdir -p $(@D)
	@echo '  TEST $@'
	@$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL) -MF $@.d -o $@ $< \
		$(call objects_of,$(extra_$*)) $(LIBRARY) $(LIBS_$*) $(LIBS_TABLES) $(LIBS_BASE)

# ---- the manual: postconf(5), and lists of other pages, are made from the table of parameters ----

$(BUILD)/manual: $(BUILD)/build-aux/manual.o $(SAN_OBJECT) $(LIBRARY)
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_TABLES) $(LIBS_BASE)

build/man/man5/postconf.5: $(BUILD)/manual
	@mkdir -p $(@D)
	@echo '  MAN  $@'
	@$(BUILD)/manual >$@

build/man/man8/%.8: man/man8/%.8 $(BUILD)/manual
	@mkdir -p $(@D)
	@$(BUILD)/manual $< >$@.new && mv -f $@.new $@

unit: $(UNIT_TESTS)
	tests/unit/run $(UNIT_TESTS)

# ---- what each jail refuses ----

$(BUILD)/probe: tests/probe/probe.c $(LIBRARY)
	@echo '  TEST $@'
	@$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL) -MF $@.d -o $@ $< $(LIBRARY) $(LIBS_BASE)

probe: $(BUILD)/probe
	tests/probe/run $<

# ---- fuzz targets: with libFuzzer by clang, and as plain programs that replay the corpora ----

FUZZ_CC ?= clang
T ?= 60
FUZZ_NAMES := $(patsubst tests/fuzz/%_fuzz.c,%,$(wildcard tests/fuzz/*_fuzz.c))
fuzz_objects_of = $(patsubst %.c,build/fuzz/%.o,$(1))
FUZZ_FLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all -MMD -MP

build/fuzz/%.o: %.c
	@mkdir -p $(@D)
	@echo '  FUZZ $@'
	@$(FUZZ_CC) $(filter-out $(FORTIFY),$(CPPFLAGS_ALL)) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link \
		-c -o $@ $<

build/fuzz/libpostern.a: $(call fuzz_objects_of,$(LIB_SOURCES))
	@rm -f $@
	@ar rcs $@ $^

build/fuzz/bin/%: build/fuzz/tests/fuzz/%_fuzz.o build/fuzz/tests/fuzz/cpu_limit.o \
		$$(call fuzz_objects_of,$$(extra_$$*_fuzz)) build/fuzz/libpostern.a
	@mkdir -p $(@D)
	@echo '  LINK $@'
	@$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer -Wl,--wrap=LLVMFuzzerTestOneInput -o $@ $^ $(LIBS_TABLES) $(LIBS_BASE)

$(BUILD)/replay/%: $(BUILD)/tests/fuzz/%_fuzz.o $(BUILD)/tests/fuzz/replay.o \
		$$(call objects_of,$$(extra_$$*_fuzz)) $(LIBRARY)
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_TABLES) $(LIBS_BASE)

.SECONDARY: $(patsubst %,build/fuzz/tests/fuzz/%_fuzz.o,$(FUZZ_NAMES)) build/fuzz/tests/fuzz/cpu_limit.o \
	$(patsubst %,$(BUILD)/tests/fuzz/%_fuzz.o,$(FUZZ_NAMES)) $(BUILD)/tests/fuzz/replay.o

# Line coverage of the parsers by the corpora; build/cov/lines has it line by line.
build/cov/%.o: %.c
	@mkdir -p $(@D)
	@$(FUZZ_CC) $(filter-out $(FORTIFY),$(CPPFLAGS_ALL)) -g -MMD -MP -fprofile-instr-generate \
		-fcoverage-mapping -c -o $@ $<

cov_objects_of = $(patsubst %.c,build/cov/%.o,$(1))
build/cov/libpostern.a: $(call cov_objects_of,$(LIB_SOURCES))
	@rm -f $@
	@ar rcs $@ $^

build/cov/bin/%: build/cov/tests/fuzz/%_fuzz.o build/cov/tests/fuzz/replay.o \
		$$(call cov_objects_of,$$(extra_$$*_fuzz)) build/cov/libpostern.a
	@mkdir -p $(@D)
	@$(FUZZ_CC) -fprofile-instr-generate -o $@ $^ $(LIBS_TABLES) $(LIBS_BASE)

.SECONDARY: $(patsubst %,build/cov/tests/fuzz/%_fuzz.o,$(FUZZ_NAMES)) build/cov/tests/fuzz/replay.o

fuzz-coverage: $(addprefix build/cov/bin/,$(FUZZ_NAMES))
	tests/fuzz/coverage $^

# Random SMTP sessions against a model, N seconds.
fuzz-sessions: all
	@MAKE='$(MAKE)' SAN=$(SAN) CC='$(CC)' tests/fuzz/sessions --seconds $(or $(N),60) $(ARGS)

# What "make fuzz" found, as small corpora in git.
fuzz-merge: $(addprefix build/fuzz/bin/,$(FUZZ_NAMES))
	tests/fuzz/merge $^

fuzz: $(addprefix build/fuzz/bin/,$(FUZZ_NAMES))
	tests/fuzz/run $(T) $^

fuzz-replay: $(addprefix $(BUILD)/replay/,$(FUZZ_NAMES))
	tests/fuzz/run replay $^

# ---- tests as a whole; their scripts call make for what they need ----

check:
	@STRICT=1 SAN=$(SAN) CC='$(CC)' MAKE='$(MAKE)' tests/check

check-long:
	@STRICT=1 SAN=$(SAN) CC='$(CC)' MAKE='$(MAKE)' tests/check long

fresh:
	@build-aux/fresh

# What each N is: messages, messages, messages, faults (0: all), rounds.
.PHONY: soak crash powercut faults diskfull quota readonly memory descriptors processes
soak: all
	@MAKE='$(MAKE)' SAN=$(SAN) CC='$(CC)' tests/fault/run soak --n $(or $(N),10000) $(ARGS)

crash: all
	@MAKE='$(MAKE)' SAN=$(SAN) CC='$(CC)' tests/fault/run crash --n $(or $(N),30000) $(ARGS)

powercut: all
	@MAKE='$(MAKE)' SAN=$(SAN) CC='$(CC)' tests/fault/run powercut --n $(or $(N),10000) $(ARGS)
	@MAKE='$(MAKE)' SAN=$(SAN) CC='$(CC)' tests/fault/run powercut --n $(or $(N),10000) \
		--filesystems 1 $(ARGS)

faults: all
	@MAKE='$(MAKE)' SAN=$(SAN) CC='$(CC)' tests/fault/run faults --n $(or $(N),0) $(ARGS)

diskfull: all
	@MAKE='$(MAKE)' SAN=$(SAN) CC='$(CC)' tests/fault/run diskfull --n $(or $(N),20) $(ARGS)

# Each with its N: rounds, rounds, faults, faults, faults.
quota readonly memory descriptors processes: N_DEFAULT = $(if $(filter quota readonly,$@),10,100)
quota readonly memory descriptors processes: all $(UNIT_TESTS)
	@MAKE='$(MAKE)' SAN=$(SAN) CC='$(CC)' tests/fault/run $@ --n $(or $(N),$(N_DEFAULT)) $(ARGS)

conformance: all
	@MAKE='$(MAKE)' SAN=$(SAN) CC='$(CC)' tests/conformance/installed $(ARGS)

attack: all
	@MAKE='$(MAKE)' SAN=$(SAN) CC='$(CC)' tests/attack/installed $(ARGS)

# Beside Debian's Postfix, rounds interleaved: "make bench S=S1a,S3 N=3".
bench: all
	tests/bench/run '$(or $(S),S1a,S1b,S2a,S2b,S3)' '$(or $(N),3)' '$(or $(OUT),build/bench.md)'

# What more clients, and a million queued messages, cost: tests/bench/growth.py; N: rounds.
bench-growth: all
	tests/bench/run growth '$(or $(N),3)' '$(or $(OUT),build/bench.md)'

# What one message costs, program by program: tests/bench/budget.py; N: messages.
bench-budget: all
	tests/bench/run budget '$(or $(N),3000)' '$(or $(OUT),build/bench.md)'

demo:
	@MAKE='$(MAKE)' PORT='$(PORT)' build-aux/demo start

demo-stop:
	@build-aux/demo stop

# ---- installing ----

D = $(DESTDIR)
SETGID_GROUP ?= postdrop
SETGID_COMMANDS := postdrop postqueue postlog
ROOT_COMMANDS := $(filter-out sendmail,$(COMMANDS))

# Makes no accounts: see "make users". The set-gid bits need the group; without root, or where
# the group is not there yet, the commands work for root and for single-user instances only.
install: all
	install -d $(D)$(sbindir) $(D)$(bindir) $(D)$(daemondir) $(D)$(confdir) $(D)$(spooldir) \
		$(D)$(datadir)
	for p in $(DAEMONS); do install -m 755 $(BUILD)/bin/$$p $(D)$(daemondir)/$$p.new && \
		mv -f $(D)$(daemondir)/$$p.new $(D)$(daemondir)/$$p || exit 1; done
	for p in $(COMMANDS); do install -m 755 $(BUILD)/bin/$$p $(D)$(sbindir)/$$p.new && \
		mv -f $(D)$(sbindir)/$$p.new $(D)$(sbindir)/$$p || exit 1; done
	ln -sf smtp $(D)$(daemondir)/lmtp
	ln -sf postern $(D)$(sbindir)/postfix
	ln -sf ../sbin/sendmail $(D)$(bindir)/mailq
	ln -sf ../sbin/sendmail $(D)$(bindir)/newaliases
	for p in $(SETGID_COMMANDS); do \
		if [ -e $(D)$(sbindir)/$$p ] && chgrp $(SETGID_GROUP) $(D)$(sbindir)/$$p 2>/dev/null; then \
			chmod 2755 $(D)$(sbindir)/$$p; fi; done
	install -d $(D)$(mandir)/man1 $(D)$(mandir)/man5 $(D)$(mandir)/man8
	install -m 644 $(wildcard man/man1/*.1) $(D)$(mandir)/man1
	install -m 644 $(wildcard man/man5/*.5) build/man/man5/postconf.5 $(D)$(mandir)/man5
	install -m 644 $(patsubst %,build/%,$(wildcard man/man8/*.8)) $(D)$(mandir)/man8
	[ -e $(D)$(aliases) ] || install -m 644 conf/aliases $(D)$(aliases)
	install -m 644 conf/aliases $(D)$(confdir)/aliases.proto
	for f in main.cf master.cf; do \
		install -m 644 conf/$$f $(D)$(confdir)/$$f.proto || exit 1; \
		[ -e $(D)$(confdir)/$$f ] || install -m 644 conf/$$f $(D)$(confdir)/$$f || exit 1; done

# The accounts that the daemons run as, where they are not there yet.
users:
	getent group $(SETGID_GROUP) >/dev/null || groupadd --system $(SETGID_GROUP)
	for u in postern postern-net postern-auth postern-secret; do \
		getent passwd $$u >/dev/null || useradd --system --user-group --no-create-home \
			--home-dir /nonexistent --shell /usr/sbin/nologin $$u || exit 1; done

style:
	tests/style

clean:
	rm -rf build

-include $(shell find $(BUILD) build/fuzz build/cov -name '*.d' 2>/dev/null)
