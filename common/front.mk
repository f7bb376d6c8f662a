# What make is asked for is understood (chapter-4), or answered in a line (chpater-04), before anything is made.

BUILD ?= build

# One word for the shell.
quoted = '$(subst ','\'',$(1))'

# "no", or pairs such as chapter-4=chapter-04.
asked := $(shell BUILD=$(call quoted,$(BUILD)) OVERLAY=$(call quoted,$(OVERLAY)) common/front.sh asked $(foreach goal,$(MAKECMDGOALS),$(call quoted,$(goal))))
short  = $(firstword $(subst =, ,$(1)))
long   = $(lastword $(subst =, ,$(1)))

# Make writes "*** [trace-04] Error 1" behind all that fails. Where a command has said itself what is wrong, that is noise.
# When make is only asked whether all is made (-q), it runs nothing but what has a plus, and tells by its status alone
# that this ended with 1; any other status, such as that of a compiler that was killed, it tells as ever. So it is here
# when all goals are built or are answers, whose recipes all begin so:
#
#   $(run)                         builds something
#   $(call answer,GOALS,COMMAND)   makes the goals, as usual, and runs a command that says itself what is wrong
#
# With the trap also a command that Ctrl-C has ended is no more than that; make ends by the signal all the same.
answers := $(shell LC_ALL=C sed -n '/call answer/{x;s/:.*//p;x;};h' Makefile)
built   := build build-% tests exercise-tools project-tools $(BUILD)/%
options := $(filter-out --%,$(firstword $(MAKEFLAGS)))
dry     := $(findstring n,$(options))$(findstring q,$(options))
run     := $(if $(dry),@,+@)
unasked  = MAKEFLAGS=$$(echo "$$MAKEFLAGS" | sed 's/^\([a-zA-Z]*\)q/\1/');
answer   = $(if $(dry),@,+@trap 'exit 1' INT; $(unasked)) { $(if $(strip $(1)),$(remake) -s $(1) &&) { $(2); }; } || exit 1

# By this name make -n does not run it.
remake = $(MAKE)

ifeq ($(asked),no)
    MAKEFLAGS += -q
    .PHONY: $(MAKECMDGOALS)
    $(sort $(MAKECMDGOALS)): ; @false
else
    $(foreach pair,$(asked),$(eval .PHONY: $(call short,$(pair)))$(eval $(call short,$(pair)): $(call long,$(pair)) ;))
    goals := $(filter-out $(foreach pair,$(asked),$(call short,$(pair))),$(MAKECMDGOALS)) $(foreach pair,$(asked),$(call long,$(pair)))
    others := $(filter-out $(answers) $(built),$(or $(strip $(goals)),none))
    # Each answer makes what it needs for itself: side by side, two would write the same files.
    ifneq ($(filter $(answers),$(goals)),)
        ifneq ($(words $(goals)),1)
            .NOTPARALLEL:
        endif
    endif
    ifeq ($(dry)$(strip $(others)),)
        MAKEFLAGS += -q
    endif
endif
