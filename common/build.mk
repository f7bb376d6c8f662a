# How programs and tests are built: one graph for the whole house, so that nothing is built twice.
# All that is made lies under $(BUILD), in the same folders as its source.

BUILD    ?= build
CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion
CHAPTERS := $(notdir $(wildcard chapters/[0-9]*))
INCLUDES := -Icommon -Icommon/load -Ichapters/03-descriptor-passing -Ichapters/04-prefork-select

compile = $(CC) -std=c17 -D_GNU_SOURCE $(INCLUDES) $(WARNINGS) $(CFLAGS) $(CPPFLAGS) -MMD -MP

# What a program is made of besides its own .o and common's library.
fdpass := $(BUILD)/chapters/03-descriptor-passing/fdpass.o
pool   := $(BUILD)/chapters/04-prefork-select/pool.o $(fdpass)

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

$(BUILD)/chapters/03-descriptor-passing/handoff \
$(BUILD)/chapters/03-descriptor-passing/passcost: $(fdpass)
$(BUILD)/chapters/04-prefork-select/server \
$(BUILD)/chapters/05-exec-workers/server \
$(BUILD)/chapters/05-exec-workers/worker: $(pool)
$(BUILD)/common/load/load: $(BUILD)/common/load/cputime.o

library := $(BUILD)/common/common.a
$(library): $(addprefix $(BUILD)/common/, cmdline.o echo.o listener.o process.o load/samples.o)
	$(AR) rcs $@ $^

$(programs): %: %.o $(library)
	$(CC) $(CFLAGS) $(LDFLAGS) $(filter %.o,$^) $(library) -lm -o $@

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(compile) -c $< -o $@

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
