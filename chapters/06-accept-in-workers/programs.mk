# What chapter 6 builds, and its servers: one program, whose workers wait in one of five ways. The words
# are those of common/build.mk.
programs       += $(here)/server
demonstrations += $(here)/locks

ways := $(here)/ways.o

$(here)/server: $(ways) $(workers)
$(here)/locks: $(ways)

servers += 06
06.program := $(here)/server
06.label   := 6 accept in workers
06.family  := accept
06.can     := rest=all accept batch

servers += 06-lock
06-lock.program   := $(here)/server
06-lock.arguments := -m lock
06-lock.label     := 6 behind a lock
06-lock.family    := accept
06-lock.can       := $(06.can) lock

servers += 06-select
06-select.program   := $(here)/server
06-select.arguments := -m select
06-select.label     := 6 in select
06-select.family    := herd
06-select.can       := $(06.can)

servers += 06-epoll
06-epoll.program   := $(here)/server
06-epoll.arguments := -m epoll
06-epoll.label     := 6 in epoll_wait
06-epoll.family    := herd
06-epoll.can       := $(06.can)

servers += 06-reuseport
06-reuseport.program   := $(here)/server
06-reuseport.arguments := -m reuseport
06-reuseport.label     := 6 SO_REUSEPORT
06-reuseport.family    := reuseport
06-reuseport.can       := $(06.can) deals

$(tests)/ways: $(ways)
$(tests)/ways: wrap = epoll_ctl
