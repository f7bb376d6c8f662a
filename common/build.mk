# How programs and tests are built: one graph for the whole house, so that nothing is built twice.
# All that is made lies under $(BUILD), in the same folders as its source.

BUILD    ?= build
CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion
INCLUDES := -Icommon -Icommon/load -Icommon/trace $(addprefix -I,$(wildcard chapters/[0-9]*))

# What make does is said in a word and a file; `make V=1` prints the commands.
say = @$(if $(V),set -x;,printf '%-8s%s\n' $(1) $(2);)

# What Python compiles, too.
export PYTHONPYCACHEPREFIX := $(abspath $(BUILD))/python

compile = $(CC) -std=c17 -D_GNU_SOURCE $(INCLUDES) $(WARNINGS) $(CFLAGS) $(CPPFLAGS) -MMD -MP

# ---- programs ------------------------------------------------------------------------------

programs := $(addprefix $(BUILD)/, \
    chapters/01-fork-per-connection/server \
    chapters/01-fork-per-connection/forkcost \
    chapters/02-socketpair/pingpong \
    chapters/03-descriptor-passing/handoff \
    chapters/03-descriptor-passing/passcost \
    chapters/04-prefork-select/server \
    chapters/05-exec-workers/server \
    chapters/05-exec-workers/worker \
    common/exercises/supervise \
    common/lab/boundaries \
    common/lab/leaky \
    common/lab/naive \
    common/load/load \
    common/peers/accept \
    common/peers/reuseport)

# What a program or test is made of besides its own .o and common's library.
library := $(BUILD)/common/common.a
fdpass  := $(BUILD)/chapters/03-descriptor-passing/fdpass.o
pool    := $(BUILD)/chapters/04-prefork-select/pool.o $(fdpass)
cputime := $(BUILD)/common/load/cputime.o
load    := $(addprefix $(BUILD)/common/load/, options.o report.o loop.o schedule.o) $(cputime)

$(BUILD)/chapters/03-descriptor-passing/handoff: $(fdpass)
$(BUILD)/chapters/03-descriptor-passing/passcost: $(fdpass)
$(BUILD)/chapters/04-prefork-select/server: $(pool)
$(BUILD)/chapters/05-exec-workers/server: $(pool)
$(BUILD)/chapters/05-exec-workers/worker: $(pool)
$(BUILD)/common/lab/naive: $(fdpass)
$(BUILD)/common/load/load: $(load)
$(BUILD)/common/peers/accept $(BUILD)/common/peers/reuseport: $(BUILD)/common/peers/floor.o
$(BUILD)/common/exercises/supervise: $(addprefix $(BUILD)/common/exercises/, family.o sandbox.o)

$(library): $(addprefix $(BUILD)/common/, cmdline.o echo.o listener.o process.o load/samples.o)
	$(call say,archive,$@) $(AR) rcs $@ $^

$(programs): %: %.o $(library)
	$(call say,link,$@) $(CC) $(CFLAGS) $(filter %.o,$^) $(library) $(LDFLAGS) -lm -o $@

# A library that growth.py preloads into a server, to give it memory.
ballast := $(BUILD)/common/report/ballast.so
$(ballast): common/report/ballast.c
	@mkdir -p $(@D)
	$(call say,link,$@) $(compile) -shared -fPIC $< -o $@

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,compile,$<) $(compile) -c $< -o $@

# The library that writes down what servers do: see its source. It is loaded into programs that are not
# built here, too (env, python3), and must need nothing that a sanitizer or gcov brings. What it calls is
# looked up when it is loaded (-z now), not once more in every child.
trace := $(BUILD)/common/trace/trace.so
plain  = $(filter-out -fsanitize% -fno-sanitize% --coverage,$(compile))

$(trace): common/trace/trace.c
	@mkdir -p $(@D)
	$(call say,link,$@) $(plain) -fPIC -shared -Wl,-z,now $< $(LDFLAGS) -ldl -o $@

.SECONDEXPANSION:

# ---- tests ---------------------------------------------------------------------------------

# A test is a program that prints TAP. Tests mirror the tree: tests/common/echo.c tests common/echo.c.
# The suites in tests/servers hold for every server: each runs once a server, under its name.
unit_tests := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/common/*.c tests/common/*/*.c tests/chapters/*/*.c))
suites       := $(addprefix $(BUILD)/tests/servers/,contract faults soak)
server_tests := $(foreach suite,contract faults,$(servers:%=$(BUILD)/tests/servers/$(suite)-%))
soaks        := $(patsubst %,$(BUILD)/tests/servers/soak-%,$(filter-out 01 %-python,$(servers)))
support      := $(BUILD)/tests/support.o $(cputime)
script_tests := $(wildcard tests/common/report/*.py)

$(BUILD)/tests/common/schedule: $(BUILD)/common/load/schedule.o
$(BUILD)/tests/common/loop: $(addprefix $(BUILD)/common/load/, loop.o schedule.o)
$(BUILD)/tests/chapters/03-descriptor-passing/fdpass: $(fdpass)
$(BUILD)/tests/chapters/04-prefork-select/pool: $(pool)
$(BUILD)/tests/chapters/05-exec-workers/worker: $(fdpass)

# The functions that a test replaces by its own (ld's --wrap), to make them fail.
$(BUILD)/tests/common/echo: wrap = recv send
$(BUILD)/tests/common/process: wrap = fork getppid
$(BUILD)/tests/common/cputime: wrap = opendir reallocarray
$(BUILD)/tests/common/samples: wrap = reallocarray
$(BUILD)/tests/common/loop: wrap = clock_gettime epoll_create1 epoll_ctl epoll_wait timerfd_create \
    timerfd_settime socket setsockopt bind connect send recv shutdown close
$(BUILD)/tests/chapters/03-descriptor-passing/fdpass: wrap = recvmsg sendmsg close
$(BUILD)/tests/chapters/04-prefork-select/pool: wrap = fork socketpair accept4 select sendmsg read \
    waitpid calloc

$(suites): $(BUILD)/tests/servers/subject.o

$(unit_tests) $(suites): %: %.o $(support) $(library)
	$(call say,link,$@) $(CC) $(CFLAGS) $(wrap:%=-Wl,--wrap=%) $(filter %.o,$^) $(library) $(LDFLAGS) \
	    $$(pkg-config --libs cmocka) -lm -o $@

$(server_tests) $(soaks): $$(@D)/$$(firstword $$(subst -, ,$$(@F)))
	@ln -sf $(<F) $@

# A server to measure load by; no test.
$(BUILD)/tests/accuracy/slow: tests/accuracy/slow.c $(library)
	@mkdir -p $(@D)
	$(call say,link,$@) $(compile) $< $(library) $(LDFLAGS) -lm -o $@

$(BUILD)/tests/%.o: tests/%.c | test-tools
	@mkdir -p $(@D)
	$(call say,compile,$<) $(compile) -Itests -DSOURCE_ROOT='"$(CURDIR)"' $$(pkg-config --cflags cmocka) -c $< -o $@

# The exercises and their sandbox are tested by scripts: what is quick belongs to `make test`.
exercise_tests      := tests/exercises/supervise.t tests/exercises/commands.t
exercise_long_tests := tests/exercises/exercises.t tests/exercises/nasty.t tests/exercises/autograder.t

.PHONY: test-tools
test-tools:
	@common/setup.sh cmocka prove python3

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
