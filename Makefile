# `make` alone prints what there is. CC, CPPFLAGS, CFLAGS, LDFLAGS, LIBS and BUILD are the caller's
# to set; changing one of them compiles anew.

CC       ?= cc
CFLAGS   ?= -O2 -g
LIBS     ?= -lcurl -lcrypto -pthread
BUILD    ?= build
PREFIX   ?= /usr/local
STANDARD := -std=c11 -D_POSIX_C_SOURCE=200809L -fPIC -pthread
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wconversion -Werror
SHARED   := $(if $(filter Darwin,$(shell uname)),-bundle -undefined dynamic_lookup,-shared)
COMPILE   = $(CC) $(STANDARD) $(CPPFLAGS) $(CFLAGS) $(WARNINGS)
LINK      = $(CC) $(CFLAGS) $(LDFLAGS)
SOURCES  := $(wildcard src/*.c)
HEADERS  := $(wildcard src/*.h)

# Stores of an outbox: each a shared object of its own, so that the core needs no library of theirs,
# and built only where the header is.
STORE_sqlite := $(patsubst %,src/%.c,file_locks file_place fork_gate lstore_sqlite sqlite_damage \
  sqlite_file sqlite_open sqlite_rows sqlite_visit store_sqlite)
HEADER_sqlite := sqlite3.h
LIBS_sqlite ?= -lsqlite3 -pthread
STORE_redis := $(patsubst %,src/%.c,lstore_redis store_redis store_redis_command \
  store_redis_greet store_redis_link store_redis_place store_redis_read store_redis_refusal \
  store_redis_script store_redis_url)
HEADER_redis := hiredis/hiredis.h
LIBS_redis ?= -lhiredis -pthread
HASH    := \#
THERE    = $(shell echo '$(HASH)include <$1>' | $(CC) $(CPPFLAGS) -E - >/dev/null 2>&1 && echo yes)
STORES   := $(foreach s,sqlite redis,$(if $(call THERE,$(HEADER_$s)),$s))
CORE     := $(filter-out $(STORE_sqlite) $(STORE_redis),$(SOURCES))
BUILDABLE := $(CORE) $(foreach s,$(STORES),$(STORE_$s))
STORE_LIBS := $(foreach s,$(STORES),$(LIBS_$s))

# Only src/l* know Lua; lanes.c merely begins with the same letter.
PLAIN := $(filter-out src/l%,$(BUILDABLE)) $(wildcard src/lanes.c)
UNITS := $(patsubst spec/c/%.c,$(BUILD)/c/%,$(wildcard spec/c/*_test.c))
THREADED := $(patsubst %,$(BUILD)/tsan/%_test,engine engine_driving engine_process engine_stop \
  outbox_stress queue stress store_redis store_sqlite wakeup)
BENCH := $(filter-out $(foreach s,sqlite redis,$(if $(filter $s,$(STORES)),,%/$(s)_floor)),\
  $(patsubst spec/bench/%.c,$(BUILD)/bench/%,$(wildcard spec/bench/*.c)))

# A Lua goes by the name of its interpreter, which is also its name for pkg-config and its folder
# under build/.
KNOWN := lua5.4 lua5.3 lua5.1 luajit
HERE   = $(shell pkg-config --exists $1 2>/dev/null && command -v $1)
BUILT := $(foreach l,$(or $(LUA),$(KNOWN)),$(if $(call HERE,$l),$l))
ONE   := $(or $(LUA),lua5.4)

# A second make, because only after `deps` is it known which Luas there are. Under -j it compiles in
# parallel, while the goals of the first go one by one: two at once would install, build and bind
# ports at once.
SECOND := $(MAKE) --no-print-directory
ifeq ($(filter objects floors tested,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile
	@echo 'LUA=luajit names one Lua, SPEC=spec/x_spec.lua one file of tests.'

deps: deps-test ## install what is missing to build, demo and test (the rest see to their own)

deps-%:
	@.ci/deps $*

# Without a browser its checks are skipped.
deps-browser:
	@.ci/deps browser || true

build: deps-build ## build for every Lua found, or for the one named by LUA=
	+@$(SECOND) objects

env: ## print the exports that let Lua 5.4, or LUA=, and the shell find what was built
	@echo 'export LUA_PATH="$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;$${LUA_PATH:-;}"'
	@echo 'export LUA_CPATH="$(CURDIR)/$(BUILD)/$(ONE)/?.so;$${LUA_CPATH:-;}"'
	@echo 'export PATH="$(CURDIR)/$(BUILD)/$(ONE)/bin:$$PATH"'

demo: deps-demo ## send the documented examples to a sandbox on this machine
	+@$(SECOND) -s objects LUA=$(ONE)
	@eval "$$($(SECOND) -s env)" && $(ONE) examples/demo.lua

test: deps-test $(if $(filter-out spec/browser/%,$(SPEC)),,deps-browser) ## run every test; the last line is `N passed, N failed`
	+@$(SECOND) tested KINDS='units threads specs sanitized browser'

test-asan: deps-test ## run the C units alone, under the sanitizers
	+@$(SECOND) tested KINDS=units

test-tsan: deps-test ## run the C units that have threads, under ThreadSanitizer
	+@$(SECOND) tested KINDS=threads

test-crash: deps-test ## kill senders a thousand times, or SENDAPI_CRASH_ROUNDS, and count what arrives
	+@SENDAPI_CRASH_ROUNDS=$${SENDAPI_CRASH_ROUNDS:-1000} $(SECOND) tested KINDS=crash

test-valgrind: deps-valgrind ## run the specs under valgrind
	+@$(SECOND) tested KINDS=valgrind

lint: deps-lint ## check style, formatting and the rules of the house
	+@.ci/lint

bench: deps-bench ## measure against the budgets, into build/bench.json
	+@$(SECOND) -s objects LUA=lua5.4
	+@$(SECOND) -s objects LUA=luajit
	+@$(SECOND) -s floors
	@eval "$$($(SECOND) -s env)" && $(ONE) spec/bench/run.lua

install: deps-build ## copy to PREFIX=/usr/local for Lua 5.4 or LUA= (as a rock: luarocks make)
	+@$(SECOND) objects LUA=$(ONE)
	v=$$($(ONE) -e 'print(_VERSION:match("%d.%d"))') && to='$(DESTDIR)$(PREFIX)' && \
	mkdir -p "$$to/share/lua/$$v" "$$to/lib/lua/$$v/sendapi/store" "$$to/bin" && \
	cp -R lua/sendapi "$$to/share/lua/$$v" && chmod -R a+rX "$$to/share/lua/$$v/sendapi" && \
	install -m 755 $(BUILD)/$(ONE)/sendapi/core.so "$$to/lib/lua/$$v/sendapi" && \
	for s in $(STORES); do \
	  install -m 755 "$(BUILD)/$(ONE)/sendapi/store/$$s.so" "$$to/lib/lua/$$v/sendapi/store" || \
	    exit; \
	done && \
	install -m 755 $(BUILD)/$(ONE)/bin/sendapi "$$to/bin"

clean: ## delete what was built, here or by luarocks make
	rm -rf $(BUILD) sendapi src/*.o

# From here on: what the second make builds.

objects: $(if $(BUILT),,nothing) $(foreach l,$(BUILT),$(BUILD)/$l/whole $(BUILD)/$l/bin/sendapi) \
  $(if $(filter sqlite,$(STORES)),,without) $(if $(filter redis,$(STORES)),,without-redis)
floors: $(BENCH)

nothing:
	@echo 'Found no Lua with its headers among: $(or $(LUA),$(KNOWN))' >&2; exit 1

without:
	@echo 'Built without the outbox in a SQLite file: there is no sqlite3.h (libsqlite3-dev).' >&2

without-redis:
	@echo 'Built without the outbox in Redis: there is no hiredis/hiredis.h (libhiredis-dev).' >&2

tested:
	+@LUAS='$(BUILT)' SPEC='$(SPEC)' .ci/test $(KINDS)

# Every object depends on its folder's note of how it was compiled.
.PRECIOUS: $(BUILD)/%/flags
$(BUILD)/%/flags: always
	@mkdir -p $(@D)
	@echo '$(COMPILE) $(LDFLAGS) $(LIBS) $(STORES)' | cmp -s - $@ || echo '$(COMPILE) $(LDFLAGS) $(LIBS) $(STORES)' >$@

# rules FOLDER LUA
define rules
$(BUILD)/$(1)/%.o: src/%.c $(HEADERS) $(BUILD)/$(1)/flags
	$$(COMPILE) $$(shell pkg-config --cflags $(2)) -c -o $$@ $$<

$(BUILD)/$(1)/sendapi/core.so: $(CORE:src/%.c=$(BUILD)/$(1)/%.o)
	@mkdir -p $$(@D)
	$$(LINK) $(SHARED) -o $$@ $$^ $$(LIBS)

$(BUILD)/$(1)/bin/sendapi: lua/sendapi/cli/sendapi.lua
	@mkdir -p $$(@D)
	@sed '1s,.*,#!/usr/bin/env $(2),' $$< >$$@ && chmod 755 $$@

$(BUILD)/$(1)/sendapi/store/sqlite.so: $(patsubst src/%.c,$(BUILD)/$(1)/%.o,$(STORE_sqlite) src/process.c)
	@mkdir -p $$(@D)
	$$(LINK) $(SHARED) -o $$@ $$^ $$(LIBS_sqlite)

$(BUILD)/$(1)/sendapi/store/redis.so: \
  $(patsubst src/%.c,$(BUILD)/$(1)/%.o,$(STORE_redis) src/process.c src/signals.c)
	@mkdir -p $$(@D)
	$$(LINK) $(SHARED) -o $$@ $$^ $$(LIBS_redis)

.PHONY: $(BUILD)/$(1)/whole
$(BUILD)/$(1)/whole: $(BUILD)/$(1)/sendapi/core.so $(STORES:%=$(BUILD)/$(1)/sendapi/store/%.so)
endef
$(foreach l,$(sort $(KNOWN) $(BUILT)),$(eval $(call rules,$l,$l)))

# Under the sanitizers: a core for Lua 5.4, and the C units, each a program with every source that
# does not know Lua. A leak is looked for at the very end, so the core is not to be unloaded before:
# its functions would have no names then.
$(eval $(call rules,sanitized,lua5.4))
$(BUILD)/sanitized/% $(BUILD)/c/%: override CC := gcc
$(BUILD)/sanitized/% $(BUILD)/c/%: override CFLAGS := -O1 -g -fno-omit-frame-pointer \
  -fsanitize=address,undefined -fno-sanitize-recover=all
$(BUILD)/sanitized/%.so: override LDFLAGS += -Wl,-z,nodelete

# Under ThreadSanitizer: those of the C units that have threads.
$(eval $(call rules,threads,lua5.4))
$(BUILD)/threads/% $(BUILD)/tsan/%: override CC := gcc
$(BUILD)/threads/% $(BUILD)/tsan/%: override CFLAGS := -O1 -g -fno-omit-frame-pointer \
  -fsanitize=thread

$(THREADED): $(BUILD)/tsan/%: spec/c/%.c $(wildcard spec/c/*.h) $(PLAIN:src/%.c=$(BUILD)/threads/%.o)
	@mkdir -p $(@D)
	$(COMPILE) $(LDFLAGS) -Isrc -Ispec/c -o $@ $(filter %.c %.o,$^) $(LIBS) $(STORE_LIBS)

$(UNITS): $(BUILD)/c/%: spec/c/%.c $(wildcard spec/c/*.h) $(PLAIN:src/%.c=$(BUILD)/sanitized/%.o)
	@mkdir -p $(@D)
	$(COMPILE) $(LDFLAGS) -Isrc -Ispec/c -o $@ $(filter %.c %.o,$^) $(LIBS) $(STORE_LIBS)

$(BUILD)/c/store_sqlite_test $(BUILD)/tsan/store_sqlite_test: spec/c/crash_vfs.c

# The floors of the benchmark: each a program by itself.
$(BENCH): $(BUILD)/bench/%: spec/bench/%.c $(BUILD)/bench/flags
	$(COMPILE) $(LDFLAGS) -o $@ $< $(LIBS)

$(BUILD)/bench/sqlite_floor: override LIBS += $(LIBS_sqlite)
$(BUILD)/bench/redis_floor: override LIBS += $(LIBS_redis)

.PHONY: help deps build env demo test test-asan test-tsan test-crash test-valgrind lint bench install clean
.PHONY: deps-browser objects floors tested nothing without without-redis always
