// Signals that other programs take for a reload or for reopening a log end no
// issuer. This file is imported first, so that it is so from the beginning.
// (SIGUSR1, by which Node.js opens a debugger to every user of the machine, is
// switched off by the option --disable-sigusr1: see ../node.)

for (const signal of ["SIGHUP", "SIGUSR1", "SIGUSR2"])
	process.on(signal, () => {});
