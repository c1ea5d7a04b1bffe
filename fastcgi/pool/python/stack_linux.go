package python

import "syscall"

// stackSignal has a worker write the stacks of its threads.
const stackSignal = syscall.SIGUSR1
