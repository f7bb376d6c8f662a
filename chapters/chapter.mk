# A chapter by itself: `make build`, `make test` and `make time` in its folder do this chapter's part.
number := $(firstword $(subst -, ,$(notdir $(CURDIR))))

.DEFAULT_GOAL := build
.PHONY: build test time
build test time:
	@$(MAKE) --no-print-directory -C ../.. $@-$(number)
