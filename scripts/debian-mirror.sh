#!/bin/sh
# Prints the mirror that apt uses for Debian.
cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null |
  sed -nE 's/^(URIs:|deb( \[[^]]*\])?)[[:space:]]+(https?:[^[:space:]]+).*/\3/p' | head -1 |
  grep . || echo http://deb.debian.org/debian
