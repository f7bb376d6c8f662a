# What chapter 5 builds, and its servers: one program, whose workers are of C or of Python. The words
# are those of common/build.mk.
programs       += $(here)/server $(here)/worker
demonstrations += $(here)/leaky

$(here)/server $(here)/worker: $(pool)

servers   += 05
05.program := $(here)/server
05.label   := 5 exec workers
05.family  := exec
05.can     := rest=all hand-over select batch exec programs

servers   += 05-python
05-python.program   := $(here)/server
05-python.arguments := -w $(room)/worker.py
05-python.label     := 5 with worker.py
05-python.family    := script
05-python.can       := $(filter-out programs,$(05.can))

$(tests)/worker: $(fdpass)
