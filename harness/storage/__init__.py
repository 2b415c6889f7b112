"""Crash tests of the real storage engines on the real kernel.

`program` runs qlab-storage-crash, which writes and checks; `loops` and `recording` make disks that
crash; `methods` is the ways to crash; `crash` is the command for long campaigns.
"""
