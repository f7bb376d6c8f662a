# What chapter 3 builds. The words are those of common/build.mk.
programs       += $(here)/handoff $(here)/passcost
demonstrations += $(here)/naive

# The module that the chapters above build on.
fdpass := $(here)/fdpass.o

$(here)/handoff $(here)/passcost $(here)/naive: $(fdpass)

$(tests)/fdpass: $(fdpass)
$(tests)/fdpass: wrap = recvmsg sendmsg close
