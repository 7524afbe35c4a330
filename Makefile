# SPDX-License-Identifier: BSD-2-Clause
#
# make            everything: BPF objects and skeletons, daemon, CLI
# make check      unit, program and scenario tests (as root: the program tests, too)
# make help       all targets

BUILD   ?= build
CC      ?= gcc
CLANG   ?= clang-16
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PREFIX  ?= /usr
DESTDIR ?=
V       ?= 0
VERSION := 0.1.0

Q := $(if $(filter 0,$(V)),@,)
say = @printf '  %-7s %s\n' '$(1)' '$(2)'

PACKAGES := libbpf libxdp libelf zlib libsystemd libcares ldns jansson yaml-0.1 sqlite3 libsodium
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Werror=implicit-function-declaration
CFLAGS   ?= -O2 -g
CPPFLAGS += -D_GNU_SOURCE -DFQ_VERSION='"$(VERSION)"' -Iinclude -Iuser -I$(BUILD)
ALL_CFLAGS = -std=gnu17 $(WARN) -fno-strict-aliasing $(CFLAGS) $(if $(SAN),-fsanitize=address$(,)undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
LDLIBS   += $(shell pkg-config --libs $(PACKAGES)) -pthread
, := ,

BPF_ARCH_INC := -I/usr/include/$(shell uname -m)-linux-gnu
BPF_CFLAGS := -std=gnu17 -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Wshadow -fno-strict-aliasing -Iinclude -Ibpf $(BPF_ARCH_INC)

LIB_SRC   := $(wildcard $(addprefix user/,$(addsuffix /*.c,base config core dataplane io store)))
LIB_SRC   += $(addprefix user/cli/,expiry.c text.c words.c) $(wildcard user/cli/print*.c)
DAEMON_SRC := $(wildcard user/daemon/*.c)
CLI_SRC   := $(filter-out $(LIB_SRC),$(wildcard user/cli/*.c))
UNIT_SRC  := $(wildcard tests/unit/test_*.c)
SCEN_SRC  := $(wildcard tests/scenario/test_*.c)
PROG_SRC  := $(wildcard tests/prog/test_*.c)
TLIB_SRC  := $(wildcard tests/lib/*.c)
DOMAINS_SRC := $(wildcard tests/bench/domains*.c)
RESTART_SRC := $(wildcard tests/bench/restart_*.c)
ORACLE_SRC := $(wildcard tests/oracle/*.c)
DNSLIVE_SRC := tests/bench/dnslive.c
LINES_SRC := tests/bench/lines.c
BENCH_SRC := $(filter-out %.bpf.c $(DOMAINS_SRC) $(RESTART_SRC) $(DNSLIVE_SRC) $(LINES_SRC),$(wildcard tests/bench/*.c))

FORMAT    ?= clang-format-16
FMT_SRC   := $(wildcard include/fqdnat/*.h bpf/*.[ch] user/*/*.[ch] tests/*/*.[ch])
SCRIPTS   := $(wildcard scripts/*.sh tests/*/*.sh .ci/run)

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
LIB   := $(BUILD)/libfqdnat.a
SKEL  := $(BUILD)/fqdnat.skel.h $(BUILD)/fqdnat_tc.skel.h
UNIT  := $(patsubst tests/%.c,$(BUILD)/tests/%,$(UNIT_SRC) $(SCEN_SRC))
PROG  := $(patsubst tests/%.c,$(BUILD)/tests/%,$(PROG_SRC))

.PHONY: all bpf user tests check check-prog bench bench-full bench-dns bench-bulk bench-lines bench-domains bench-lab-domains race model fuzz fuzz-build fuzz-dataplane fmt lint install uninstall clean help bench-restart
.DELETE_ON_ERROR:
.SECONDARY:

all: bpf user

bpf: $(SKEL)

user: $(BUILD)/fqdnatd $(BUILD)/fqdnat

tests: $(UNIT) $(PROG)

$(BUILD)/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h include/fqdnat/*.h)
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(BUILD)/%.bpf.o: tests/bench/%.bpf.c $(wildcard tests/bench/*.h include/fqdnat/*.h)
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(BUILD)/%.skel.h: $(BUILD)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

$(BUILD)/obj/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(call obj,$(wildcard user/dataplane/*.c) $(PROG_SRC) $(BENCH_SRC) $(TLIB_SRC) $(ORACLE_SRC)): | $(SKEL)

$(call obj,$(BENCH_SRC)): | $(BUILD)/bench.skel.h

$(call obj,$(DNSLIVE_SRC)): | $(BUILD)/dnslive.skel.h

$(LIB): $(call obj,$(LIB_SRC))
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/fqdnatd: $(call obj,$(DAEMON_SRC)) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/fqdnat: $(call obj,$(CLI_SRC)) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(call obj,$(TLIB_SRC)) $(LIB)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

$(BUILD)/tests/prog/test_oracle: $(call obj,$(ORACLE_SRC))

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

$(BUILD)/bench: $(call obj,$(BENCH_SRC)) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/bench-domains: $(call obj,$(DOMAINS_SRC) tests/bench/report.c) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/bench-dnslive: $(call obj,$(DNSLIVE_SRC)) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/bench-lines: $(call obj,$(LINES_SRC)) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/bench-restart-%: $(BUILD)/obj/tests/bench/restart_%.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# BENCH_ARGS="--only pps --flows 1000": that alone. The parts that stand in files of their own come
# first: the report has them all.
bench: $(BUILD)/bench
ifeq ($(strip $(BENCH_ARGS)),)
	$(Q)$(MAKE) --no-print-directory bench-dns bench-bulk bench-restart ROUNDS=3
	$(Q)$(MAKE) --no-print-directory bench-domains BENCH_ARGS="--rounds 3"
endif
	$(Q)$< --json $(BUILD)/bench.json $(BENCH_ARGS)
	$(Q)scripts/bench-report.py $(BUILD)/bench.json $(BUILD)/bench.html

bench-full:
	$(Q)$(MAKE) --no-print-directory bench-domains bench-dns bench-bulk bench-restart BENCH_ARGS=
	$(Q)$(MAKE) --no-print-directory bench BENCH_ARGS="--rounds 21"

bench-dns: all $(BUILD)/bench-dnslive
	$(Q)LAB_BUILD=$(abspath $(BUILD)) tests/bench/dns.sh $(BUILD)/bench-dns.json

bench-bulk: all
	$(Q)LAB_BUILD=$(abspath $(BUILD)) tests/bench/bulk.sh $(BUILD)/bench-bulk.json

bench-domains: $(BUILD)/bench-domains
	$(Q)$< --json $(BUILD)/bench-domains.json $(BENCH_ARGS)

# The same question to a running daemon: DOMAINS="1000 100000"
DOMAINS ?= 1000 100000 1000000

bench-lab-domains: all
	$(Q)LAB_BUILD=$(abspath $(BUILD)) tests/bench/domains-lab.sh $(DOMAINS)

# Which lines of the programs take the time: BENCH_ARGS="--only ns --flows 1 --rounds 50"
bench-lines: $(BUILD)/bench $(BUILD)/bench-lines
	$(Q)LAB_BUILD=$(abspath $(BUILD)) tests/bench/lines.sh $(BENCH_ARGS)

# 125000 domains are a million proxy addresses.
bench-restart: DOMAINS = 125000
bench-restart: all $(patsubst tests/bench/restart_%.c,$(BUILD)/bench-restart-%,$(RESTART_SRC))
	$(Q)LAB_BUILD=$(abspath $(BUILD)) DOMAINS="$(DOMAINS)" tests/bench/restart.sh $(BUILD)/bench-restart.json

check: tests user
	$(Q)set -e; for t in $(UNIT); do echo "== $$t"; $$t; done

check-prog: tests
	$(Q)set -e; for t in $(PROG); do echo "== $$t"; $$t; done

# The session table's protocol: every CPU at once, watched by ThreadSanitizer; every order of steps.
$(BUILD)/race: tests/unit/test_table_race.c tests/lib/table_lab.h include/fqdnat/table.h include/fqdnat/abi.h
	$(call say,RACE,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -fsanitize=thread -o $@ $< -pthread -lcmocka

race: $(BUILD)/race
	$(Q)TSAN_OPTIONS=halt_on_error=1 $<

model:
	$(Q)tests/model/check.sh

FUZZ := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
SECONDS ?= 60

$(BUILD)/fuzz/fuzz_tcp: FUZZ_ALSO := tests/oracle/oracle_tcp.c tests/oracle/oracle_bytes.c
$(BUILD)/fuzz/fuzz_dns_xdp: FUZZ_ALSO := tests/lib/edge_bed.c

$(BUILD)/fuzz/%: tests/fuzz/%.c tests/fuzz/fuzz.h $(wildcard tests/oracle/*.[ch] user/core/*.[ch] user/base/*.[ch] bpf/*.h include/fqdnat/*.h)
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS) -std=gnu17 $(WARN) -fno-strict-aliasing -O1 -g \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
		-o $@ $< $(FUZZ_ALSO) $(wildcard user/core/*.c) user/base/ipaddr.c $(LDLIBS)

fuzz-build: $(FUZZ)

# What a run finds goes to build/; a finding is kept by copying it to tests/fuzz/corpus.
fuzz: $(FUZZ)
	$(Q)set -e; for f in $(FUZZ); do \
		new=$$f.new corpus=tests/fuzz/corpus/$${f##*/fuzz_}; mkdir -p $$new; echo "== $$f"; \
		$$f -max_total_time=$(SECONDS) -print_final_stats=1 -artifact_prefix=$$f. \
			$$new $$corpus >$$f.log 2>&1 || { tail -n 40 $$f.log; exit 1; }; \
		grep stat::number_of_executed_units $$f.log; done

# The loaded program against the oracle (root): RUNS packets, sequences from SEED on.
RUNS ?= 10000000
SEED ?= 1

fuzz-dataplane: $(BUILD)/tests/prog/test_oracle
	$(Q)RUNS=$(RUNS) SEED=$(SEED) $<

fmt:
	$(Q)$(FORMAT) -i $(FMT_SRC)

lint:
	$(Q)$(FORMAT) --dry-run --Werror $(FMT_SRC)
	$(Q)shellcheck -x $(SCRIPTS)
	$(Q)mandoc -Tlint -Wwarning $(wildcard docs/man/*.[58])

install: all
	install -Dm755 -t $(DESTDIR)$(PREFIX)/sbin $(BUILD)/fqdnatd $(BUILD)/fqdnat
	install -Dm644 -t $(DESTDIR)$(PREFIX)/share/man/man5 $(wildcard docs/man/*.5)
	install -Dm644 -t $(DESTDIR)$(PREFIX)/share/man/man8 $(wildcard docs/man/*.8)
	install -Dm644 -t $(DESTDIR)$(PREFIX)/lib/systemd/system scripts/fqdnatd.service
	install -Dm644 scripts/fqdnat.bash-completion \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/fqdnat
	install -Dm640 docs/fqdnat.yaml $(DESTDIR)/etc/fqdnat/fqdnat.yaml.example
	install -dm750 $(DESTDIR)/var/lib/fqdnat

uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/sbin/,fqdnatd fqdnat)
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/share/man/,$(patsubst docs/man/%.5,man5/%.5,$(wildcard docs/man/*.5)) \
		$(patsubst docs/man/%.8,man8/%.8,$(wildcard docs/man/*.8)))
	rm -f $(DESTDIR)$(PREFIX)/lib/systemd/system/fqdnatd.service
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/fqdnat
	rm -f $(DESTDIR)/etc/fqdnat/fqdnat.yaml.example

clean:
	rm -rf build

help:
	@echo 'all (default)   BPF objects, daemon build/fqdnatd, command line build/fqdnat'
	@echo 'bpf             the BPF objects and their skeletons'
	@echo 'user            the daemon and the command line'
	@echo 'check           unit and scenario tests; SAN=1 BUILD=build/san: sanitised'
	@echo 'check-prog      tests of the loaded programs (root)'
	@echo 'fuzz-build      the fuzz targets'
	@echo 'race, model     the session table under ThreadSanitizer; its protocol in every order (spin)'
	@echo 'fuzz            every fuzz target for SECONDS=60 each'
	@echo 'fuzz-dataplane  RUNS=10000000 packets through the program and the oracle (root); SEED=1'
	@echo 'bench           the benchmark (root); writes build/bench.json and build/bench.html'
	@echo 'bench-full      the same with more rounds (root)'
	@echo 'bench-dns       answers beside dnsmasq and unbound (root); writes build/bench-dns.json'
	@echo 'bench-bulk      TCP by each hook, with iperf3 (root); writes build/bench-bulk.json'
	@echo 'bench-lines     where its time goes, by line of the programs (root); BENCH_ARGS="--only ns --flows 1 --rounds 50"'
	@echo 'bench-domains   an edge with up to a million domains; writes build/bench-domains.json'
	@echo 'bench-lab-domains  the same of a running daemon (root); DOMAINS="1000 100000 1000000"'
	@echo 'bench-restart   what a restart with a million proxy addresses costs (root); writes build/bench-restart.json'
	@echo 'fmt, lint       format; check format, scripts and man pages'
	@echo 'install         DESTDIR= PREFIX=/usr'
	@echo 'clean           remove build/'
	@echo 'Variables: CC CLANG BPFTOOL BUILD SAN=1 V=1. All tests: scripts/test.sh'
