# How programs and tests are built: one graph for the whole house, so that nothing is built twice.
# All that is made lies under $(BUILD), in the same folders as its source.

BUILD    ?= build
CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion
INCLUDES := -Icommon -Icommon/load -Ichapters/03-descriptor-passing -Ichapters/04-prefork-select

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
    common/load/load)

# What a program or test is made of besides its own .o and common's library.
library := $(BUILD)/common/common.a
fdpass  := $(BUILD)/chapters/03-descriptor-passing/fdpass.o
pool    := $(BUILD)/chapters/04-prefork-select/pool.o $(fdpass)
cputime := $(BUILD)/common/load/cputime.o

$(BUILD)/chapters/03-descriptor-passing/handoff: $(fdpass)
$(BUILD)/chapters/03-descriptor-passing/passcost: $(fdpass)
$(BUILD)/chapters/04-prefork-select/server: $(pool)
$(BUILD)/chapters/05-exec-workers/server: $(pool)
$(BUILD)/chapters/05-exec-workers/worker: $(pool)
$(BUILD)/common/load/load: $(cputime)

$(library): $(addprefix $(BUILD)/common/, cmdline.o echo.o listener.o process.o load/samples.o)
	$(AR) rcs $@ $^

$(programs): %: %.o $(library)
	$(CC) $(CFLAGS) $(filter %.o,$^) $(library) $(LDFLAGS) -lm -o $@

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(compile) -c $< -o $@

# ---- tests ---------------------------------------------------------------------------------

# A test is a program that prints TAP. Tests mirror the tree: tests/common/echo.c tests common/echo.c.
# tests/servers/contract.c holds for every server: it runs once for each, under the server's name.
unit_tests := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/common/*.c tests/chapters/*/*.c))
contracts  := $(addprefix $(BUILD)/tests/servers/contract-,$(servers))
support    := $(BUILD)/tests/support.o

$(BUILD)/tests/common/cputime: $(cputime)
$(BUILD)/tests/chapters/03-descriptor-passing/fdpass: $(fdpass)
$(BUILD)/tests/chapters/04-prefork-select/pool: $(pool)

# The functions that a test replaces by its own (ld's --wrap), to make them fail.
$(BUILD)/tests/common/echo: wrap = recv send
$(BUILD)/tests/chapters/03-descriptor-passing/fdpass: wrap = recvmsg sendmsg close
$(BUILD)/tests/chapters/04-prefork-select/pool: wrap = fork socketpair accept4 select sendmsg

$(unit_tests) $(BUILD)/tests/servers/contract: %: %.o $(support) $(library)
	$(CC) $(CFLAGS) $(wrap:%=-Wl,--wrap=%) $(filter %.o,$^) $(library) $(LDFLAGS) \
	    $$(pkg-config --libs cmocka) -lm -o $@

$(contracts): $(BUILD)/tests/servers/contract
	ln -sf contract $@

$(BUILD)/tests/%.o: tests/%.c | test-tools
	@mkdir -p $(@D)
	$(compile) -Itests -DSOURCE_ROOT='"$(CURDIR)"' $$(pkg-config --cflags cmocka) -c $< -o $@

.PHONY: test-tools
test-tools:
	@common/setup.sh cmocka prove python3

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
