include common/build.mk
build: $(programs)
.DEFAULT_GOAL := build
