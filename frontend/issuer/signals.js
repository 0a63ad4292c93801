// Ignores the signals that other programs take for "reload" or "open the log
// anew". main.js imports this file first, so that they are ignored from the start.
// The option --disable-sigusr1 in ../node is needed too: by SIGUSR1 Node.js would
// open a debugger to every user of the machine.

for (const signal of ["SIGHUP", "SIGUSR1", "SIGUSR2"])
	process.on(signal, () => {});
