# What chapter 7 builds, and its servers: one program, through whose queue connections travel in one of
# three ways, and whose workers are copies of it or programs. The words are those of common/build.mk.
programs       += $(here)/server $(here)/worker
demonstrations += $(here)/table

queue := $(here)/queue.o $(workers) $(fdpass)

$(here)/server: $(queue) $(here)/travel.o
$(here)/worker: $(queue)

servers   += 07
07.program := $(here)/server
07.label   := 7 one queue
07.family  := queue
07.can     := rest=all queue batch

servers += 07-epoll
07-epoll.program   := $(here)/server
07-epoll.arguments := -m epoll
07-epoll.label     := 7 in epoll_wait
07-epoll.family    := queue
07-epoll.can       := $(07.can)

servers += 07-pidfd
07-pidfd.program   := $(here)/server
07-pidfd.arguments := -m pidfd
07-pidfd.label     := 7 pidfd_getfd
07-pidfd.family    := queue
07-pidfd.can       := $(07.can) numbers

servers += 07-exec
07-exec.program   := $(here)/server
07-exec.arguments := -w worker
07-exec.label     := 7 exec workers
07-exec.family    := exec
07-exec.can       := $(07.can) exec programs

servers += 07-python
07-python.program   := $(here)/server
07-python.arguments := -w $(room)/worker.py
07-python.label     := 7 with worker.py
07-python.family    := script
07-python.can       := $(07.can) exec

$(tests)/queue: $(queue)
$(tests)/queue: wrap = sendmsg accept4 fork socketpair calloc setsockopt
$(tests)/travel: $(queue) $(here)/travel.o
$(tests)/travel: wrap = now_ms
