"""Makes the kernel and initramfs that unknown machines boot: standard library only, no code of the target is run."""
