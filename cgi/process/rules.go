package process

// Rules say how programs are started. The zero value starts them as this process is:
// with its user, its limits and its control group.
type Rules struct {
	// Roots and Follow are the directories that programs lie in, absolute; either may be
	// a program itself. With RunAs.Owner, Confinement.CheckOwner or CheckMode no program
	// elsewhere is started; a Chroot must hold them, and Landlock lets programs read them.
	Roots, Follow []string

	RunAs       RunAs
	Confinement Confinement
	Cgroup      Cgroup
	Limits      Limits
}

// Limits are resource limits of each process (setrlimit(2)). What goes beyond fails in
// the program. Zero or less leaves that of this process; none can be higher than its
// own. All are for Linux.
type Limits struct {
	AddressSpace int64 // RLIMIT_AS, in bytes
	FileBytes    int64 // RLIMIT_FSIZE, in bytes
	OpenFiles    int   // RLIMIT_NOFILE
	Processes    int   // RLIMIT_NPROC: all processes of the user; does not hold for root
}

// RunAs says which user programs run as. The zero value is the user of this
// process. Another one needs a process that was started as root, on Linux.
type RunAs struct {
	User  string // a name, or a number; not root
	Group string // a name, or a number; if empty, the user's own

	// Owner has each program run as the user that owns it, with that user's group, in
	// place of User. The rules are those of Apache's suexec: the program and its
	// directory belong to that user and group, neither is writable by the group or by
	// others, and the program has no set-user-ID or set-group-ID bit. All else is 403.
	Owner bool

	// MinUID and MinGID are the lowest numbers of such an owner and of its group; 0
	// means 1000 and 100. Root, number 0, is never accepted.
	MinUID, MinGID int
}

// Confinement is what programs may not do beyond what their user may not. The zero
// value confines nothing. All of it is for Linux.
type Confinement struct {
	// CheckOwner refuses with 403 a program that, or whose directory, belongs neither
	// to root nor to the user that it would run as. CheckMode refuses one that, or
	// whose directory, is writable by its group or by others, or that has a set-user-ID
	// or set-group-ID bit. RunAs.Owner implies both, and is stricter.
	//
	// A program that was checked is then run as ./NAME in its directory, which is held
	// open from the check on: who can move directories cannot put another program in
	// its place.
	CheckOwner, CheckMode bool

	// Chroot is a directory that becomes the root directory of the programs. The roots
	// lie in it; paths in the environment (SCRIPT_FILENAME) are given as the programs see
	// it. It needs root, and RunAs, since root can leave it.
	Chroot string

	Umask      int  // of the programs; 0: that of this process, negative: none
	Nice       int  // their niceness, 19 being the lowest priority; 0: that of this process
	NoNewPrivs bool // no program that they execute gains privileges, set-user-ID ones included
	NoCore     bool // they leave no core file

	// Read are the files and directories that programs may read and execute, Write
	// those that they may change, too (Landlock, Linux 5.13). If both are empty, only
	// the usual permissions count. Otherwise nothing else can be opened but Roots and
	// Follow, to read and execute, and /dev/null, zero, full, random and urandom.
	// NoNewPrivs is part of it. Paths are those outside Chroot.
	Read, Write []string
}

// Cgroup places programs in control groups (version 2) and bounds them there. The
// zero value leaves them in that of this process. It is for Linux.
type Cgroup struct {
	// Dir is the directory of a delegated control group, in which this process may make
	// groups: one for the Launcher, named gatehouse.PID.N, which Close removes. NewLauncher
	// removes those there whose process has ended without it, and kills what is in them.
	Dir string

	// EachProgram gives each program a group of its own in that of the Launcher, so that the
	// limits hold for each alone, and kills all that is left in it when the program
	// ends, whatever its descendants did to escape.
	EachProgram bool

	Memory    int64   // memory.max, in bytes; 0: no limit
	Processes int     // pids.max; 0: no limit
	CPU       float64 // cpu.max, in processors; 0: no limit
}

// The least numbers of owners, if RunAs has none.
const (
	minUID = 1000
	minGID = 100
)
