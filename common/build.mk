# How programs and tests are built: one graph for the whole house, so that nothing is built twice.
# All that is made lies under $(BUILD), in the same folders as its source.

CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion
INCLUDES := -Icommon -Icommon/load -Icommon/trace

# musl-gcc, as Debian has it, looks for the kernel's headers nowhere: behind its own, those of glibc's
# folders serve. And FD_SET of musl divides an int by a size_t, which is no fault of ours.
ifneq ($(findstring musl-gcc,$(CC)),)
    WARNINGS += -Wno-sign-conversion -idirafter /usr/include -idirafter /usr/include/$(shell cc -print-multiarch)
endif

# All recipes of this file, and of what chapters build, begin with $(run): see common/front.mk. What they do is said
# in a word and a file; `make V=1` prints the commands.
say = $(run)mkdir -p $(@D) && $(if $(V),set -x,printf '%-8s%s\n' $(1) $(2)) &&

# And at the end, what is there now; not when make makes it for something else (-s).
there = $(run)$(if $(findstring s,$(filter-out --%,$(firstword $(MAKEFLAGS)))),:,echo "$(1)")

# What Python compiles, too, even where it is told to write nothing, which is meant for files beside the
# sources: else it would compile its own library at every start.
export PYTHONPYCACHEPREFIX := $(abspath $(BUILD))/python
unexport PYTHONDONTWRITEBYTECODE

compile = $(CC) -std=c17 -D_GNU_SOURCE $(INCLUDES) $(WARNINGS) $(CFLAGS) $(CPPFLAGS) -MMD -MP

# By what is compiled, and with what; all that is compiled depends on it. It is written anew only when
# that differs: the same paths hold what was asked for last, and nothing is made twice.
flags    := $(BUILD)/flags
compiler := $(firstword $(CC))
told_by  = { $(CC) --version 2>&1 | head -n 1; printf '%s\n' $(foreach name,CC CFLAGS CPPFLAGS LDFLAGS,$(call quoted,$(name) = $($(name)))); }

$(flags): $(shell $(told_by) | cmp -s - $(flags) 2>/dev/null || echo always)
	$(run)common/setup.sh $(or $(filter cc gcc,$(compiler)),--alone $(filter clang musl-gcc,$(compiler)))
	$(run)mkdir -p $(@D)
	$(run)$(told_by) >$@.$$$$ && mv -f $@.$$$$ $@

# Behind what makes a file: two makes with different flags may be at work at once, and what the one has just
# made is newer than what the other wants. Then it is not kept.
alone = && { $(told_by) | cmp -s - $(flags) || { rm -f $@; \
    printf '%s\n' 'make: meanwhile another make builds in $(BUILD) with other flags:' '    build elsewhere, such as BUILD=build/other' >&2; exit 1; }; }

# ---- chapters ------------------------------------------------------------------------------

# Each chapter says in its programs.mk what is built in it, of what, and which servers that gives. It is
# read when these say where it is, and by plain make, so that only they must not stand in a recipe:
#
#   $(room)    its folder, chapters/NN-name
#   $(here)    where that is built
#   $(tests)   where its tests are built, which lie in tests/chapters/NN-name
#
# It may add to these lists:
#
#   programs   $(here)/NAME is made of NAME.c, of common's library, and of the objects that a rule
#              without a recipe names: those of this chapter, or what one below has set a variable to
#   demonstrations   programs that `make break-NN` runs, and whose processes may end by SIGKILL
#   servers    the name of a server: the chapter's number, or that, a hyphen and a word. Of each:
#     NAME.program     what is started
#     NAME.arguments   with which arguments, if any; one with a slash is a file of this tree
#     NAME.label       what tables and plots call it
#     NAME.family      what it shares a colour with
#     NAME.can         what it can, and thus which tests are for it: see tests/servers/subject.h
#
# A chapter sees the headers of common/, its own, and those of the chapters below.
programs       :=
demonstrations :=
servers        :=
floors         :=

define enter
room   := $(1)
here   := $(BUILD)/$(1)
tests  := $(BUILD)/tests/$(1)
floors += -I$(1)
$(1).floors := $$(floors)
$(BUILD)/$(1)/%.o $(BUILD)/tests/$(1)/%.o: INCLUDES := $(INCLUDES) $$(floors)
known  := $$(servers)
include $(wildcard $(1)/programs.mk)
$$(foreach server,$$(filter-out $$(known),$$(servers)),$$(eval $$(server).chapter := $(notdir $(1))))
endef
rooms := $(sort $(wildcard chapters/[0-9]*))
$(foreach chapter,$(rooms),$(eval $(call enter,$(chapter))))

# The one list of servers, for the suites and for what measures and shows: a row each, with tabs between.
registry := $(BUILD)/servers.tsv
columns  := name chapter program arguments label family can

row = printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' '$(1)' '$($(1).chapter)' '$($(1).program:$(BUILD)/%=%)' \
    '$($(1).arguments)' '$($(1).label)' '$($(1).family)' '$($(1).can)'

$(registry): always
	$(run)mkdir -p $(@D)
	$(run){ printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' $(columns); $(foreach server,$(servers),$(call row,$(server)); )} >$@.$$$$; \
	    cmp -s $@.$$$$ $@ && rm $@.$$$$ || mv -f $@.$$$$ $@

.PHONY: always

# ---- programs ------------------------------------------------------------------------------

programs += $(demonstrations) $(addprefix $(BUILD)/common/, \
    exercises/supervise \
    load/load)

# What a program or test is made of besides its own .o and common's library.
library := $(BUILD)/common/common.a
cputime := $(BUILD)/common/load/cputime.o
load    := $(addprefix $(BUILD)/common/load/, options.o report.o loop.o schedule.o) $(cputime)

$(BUILD)/common/load/load: $(load)
$(BUILD)/common/exercises/supervise: $(addprefix $(BUILD)/common/exercises/, family.o sandbox.o)

$(library): $(addprefix $(BUILD)/common/, \
    arguments.o cmdline.o echo.o listener.o log.o output.o process.o procstat.o terminal.o load/samples.o)
	$(call say,archive,$@) $(AR) rcs $@ $^

$(programs): %: %.o $(library)
	$(call say,link,$@) $(CC) $(CFLAGS) $(filter %.o,$^) $(library) $(LDFLAGS) -lm -o $@ $(alone)

# A library that growth.py preloads into a server, to give it memory.
ballast := $(BUILD)/common/report/ballast.so
$(ballast): common/report/ballast.c $(flags)
	$(call say,link,$@) $(compile) -shared -fPIC $< -o $@ $(alone)

$(BUILD)/%.o: %.c $(flags)
	$(call say,compile,$<) $(compile) -c $< -o $@ $(alone)

# The library that writes down what servers do: see its source. It is loaded into programs that are not
# built here, too (env, python3), and must need nothing that a sanitizer or gcov brings. What it calls is
# looked up when it is loaded (-z now), not once more in every child.
trace := $(BUILD)/common/trace/trace.so
plain  = $(filter-out -fsanitize% -fno-sanitize% --coverage,$(compile))

$(trace): common/trace/trace.c $(flags)
	$(call say,link,$@) $(plain) -fPIC -shared -Wl,-z,now $< $(LDFLAGS) -ldl -o $@ $(alone)

.SECONDEXPANSION:

# ---- tests ---------------------------------------------------------------------------------

# A test is a program that prints TAP. Tests mirror the tree: tests/common/load/loop.c tests
# common/load/loop.c.
# The suites in tests/servers hold for every server: each runs once a server, under its name. The soak is for
# those that have workers at rest, which are no scripts.
unit_tests := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/common/*.c tests/common/*/*.c tests/chapters/*/*.c))
suites       := $(addprefix $(BUILD)/tests/servers/,contract faults soak)
server_tests := $(foreach suite,contract faults,$(servers:%=$(BUILD)/tests/servers/$(suite)-%))
soaked       := $(foreach server,$(servers),$(if $(filter rest=0,$($(server).can))$(filter script,$($(server).family)),,$(server)))
soaks        := $(soaked:%=$(BUILD)/tests/servers/soak-%)
support      := $(BUILD)/tests/support.o $(cputime)
# Those that start nothing of $(BUILD): with other flags they would be the same once more.
source_tests := tests/make.py tests/common/mine.py tests/common/text/excerpt.py \
                $(addprefix tests/common/book/,pages.py replay.py scene.py translate.py)
script_tests := $(filter-out $(source_tests),$(wildcard tests/common/*.py tests/common/*/*.py tests/chapters/*/*.py))

$(BUILD)/tests/common/load/schedule: $(BUILD)/common/load/schedule.o
$(BUILD)/tests/common/load/loop: $(addprefix $(BUILD)/common/load/, loop.o schedule.o)

# The functions that a test replaces by its own (ld's --wrap), to make them fail.
$(BUILD)/tests/common/echo: wrap = recv send
$(BUILD)/tests/common/log: wrap = now_ms poll
$(BUILD)/tests/common/process: wrap = fork getppid
$(BUILD)/tests/common/load/cputime: wrap = opendir reallocarray
$(BUILD)/tests/common/load/samples: wrap = reallocarray
$(BUILD)/tests/common/load/loop: wrap = clock_gettime epoll_create1 epoll_ctl epoll_wait timerfd_create \
    timerfd_settime socket setsockopt bind connect send recv shutdown close

$(suites): $(BUILD)/tests/servers/subject.o

$(unit_tests) $(suites): %: %.o $(support) $(library)
	$(call say,link,$@) $(CC) $(CFLAGS) $(wrap:%=-Wl,--wrap=%) $(filter %.o,$^) $(library) $(LDFLAGS) \
	    $$(pkg-config --libs cmocka) -lm -o $@ $(alone)

$(server_tests) $(soaks): $$(@D)/$$(firstword $$(subst -, ,$$(@F)))
	$(run)ln -sf $(<F) $@

# A server to measure load by; no test.
$(BUILD)/tests/accuracy/slow: tests/accuracy/slow.c $(library) $(flags)
	$(call say,link,$@) $(compile) $< $(library) $(LDFLAGS) -lm -o $@ $(alone)

# What an older tree has built may have the name that is now a folder's.
$(BUILD)/tests/%.o: tests/%.c $(flags) | test-tools
	$(run)if [ -f $(@D) ]; then rm -f $(@D); fi
	$(call say,compile,$<) $(compile) -Itests -DSOURCE_ROOT='"$(CURDIR)"' $$(pkg-config --cflags cmocka) -c $< -o $@ $(alone)

# The exercises and their sandbox are tested by scripts: what is quick belongs to `make test`.
exercise_tests      := tests/exercises/supervise.t tests/exercises/commands.t tests/exercises/grading.t
exercise_long_tests := tests/exercises/exercises.t tests/exercises/nasty.t tests/exercises/autograder.t tests/exercises/batch.t

# ---- the project -----------------------------------------------------------------------------

# Its parser, llhttp, is a library that pkg-config knows; Debian 12 has it as sources only, in node-llhttp.
llhttp_sources := $(wildcard /usr/share/llhttp/*.c)
llhttp_built   := $(if $(llhttp_sources),$(BUILD)/llhttp/llhttp.a)
llhttp_headers  = $(if $(llhttp_sources),-isystem /usr/share/include/llhttp,$(shell pkg-config --cflags libllhttp 2>/dev/null))
llhttp          = $(llhttp_headers) $(or $(llhttp_built),$(shell pkg-config --libs libllhttp 2>/dev/null))

# Others have written it: our warnings are not for it.
$(BUILD)/llhttp/llhttp.a: $(llhttp_sources) $(flags)
	$(call say,archive,$@) (mkdir -p $(@D)/$$PPID && cd $(@D)/$$PPID && \
	    $(CC) $(CFLAGS) -w -isystem /usr/share/include/llhttp -c $(llhttp_sources) && $(AR) rcs $(@F) *.o && \
	    mv -f $(@F) .. && cd .. && rm -rf $$PPID) $(alone)

# ---- compile_commands.json -------------------------------------------------------------------

# How each file is compiled, for clangd and the like; an exercise as its judge compiles it. What hostile
# submissions are made of is left to the judge alone.
entries  = $(if $(strip $(2)),common/clangd.sh $(call quoted,$(CURDIR)) $(call quoted,$(1)) $(strip $(2));)
once     = $(filter-out -MMD -MP,$(compile))
testing  = $(once) $(floors) -Itests -DSOURCE_ROOT=$(call quoted,"$(CURDIR)") $(shell pkg-config --cflags cmocka 2>/dev/null)
judging  = $(CC) -std=c17 -D_GNU_SOURCE $(WARNINGS) $(CFLAGS) $(CPPFLAGS) -Icommon $(floors) $(llhttp_headers)

commands = $(call entries,$(once),$(wildcard common/*.c common/*/*.c)) \
    $(foreach room,$(rooms),$(call entries,$(once) $($(room).floors),$(wildcard $(room)/*.c))) \
    $(call entries,$(testing),$(filter-out tests/exercises/%,$(wildcard tests/*.c tests/*/*.c tests/*/*/*.c))) \
    $(call entries,$(judging),$(wildcard exercises/*/*.c solutions/*/*.c common/exercises/autograder/overlay/*/*/*.c)) \
    $(call entries,$(judging) -Iexercises/%d,$(wildcard tests/exercises/*/driver.c))

.PHONY: test-tools
test-tools:
	$(run)common/setup.sh cmocka prove python3

# Not in build/bare, where a whole system may lie.
-include $(shell find $(BUILD) -path $(BUILD)/bare -prune -o -name '*.d' -type f -print 2>/dev/null)
