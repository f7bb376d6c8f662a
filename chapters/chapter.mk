# A chapter by itself: `make build`, `make test`, `make trace` and the like in its folder are what `make test-NN` is
# at the top.
number  := $(firstword $(subst -, ,$(lastword $(subst /, ,$(CURDIR)))))
offered := build test time trace fds break live diff timeline
unknown := $(filter-out $(offered),$(MAKECMDGOALS))

.DEFAULT_GOAL := build
.PHONY: $(offered) $(unknown)

# What is wrong has been said: see common/front.mk.
MAKEFLAGS += -q --no-print-directory

ifeq ($(unknown),)
$(offered):
	+@trap 'exit 1' INT; MAKEFLAGS=$$(echo "$$MAKEFLAGS" | sed 's/^\([a-zA-Z]*\)q/\1/'); $(MAKE) -C ../.. $@-$(number) || exit 1
else
$(shell printf '%s\n' 'make: a chapter has $(offered).' \
    '      All else is made at the top: cd ../..' >&2)
$(sort $(MAKECMDGOALS)): ; @false
endif
