package script

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
	// stands for 1000 and 100. Root, number 0, never is one.
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
	// lie in it; what programs are told of paths (SCRIPT_FILENAME) is told as they see
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
// zero value leaves them in that of this process.
type Cgroup struct {
	// Dir is the directory of a delegated control group, in which this process may make
	// groups: one for the App, named gatehouse.PID.N, which Close removes.
	Dir string

	// EachProgram gives each program a group of its own in that of the App, so that the
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

// needs returns the keys of what is asked for beyond starting programs, which not
// every system has.
func (a *App) needs() (keys []string) {
	c, r, g, l := &a.Confinement, &a.RunAs, &a.Cgroup, &a.Limits
	for _, k := range []struct {
		name  string
		asked bool
	}{
		{"user", r.User != ""}, {"group", r.Group != ""}, {"run_as", r.Owner},
		{"check_owner", c.CheckOwner}, {"check_mode", c.CheckMode}, {"chroot", c.Chroot != ""}, {"umask", c.Umask != 0},
		{"nice", c.Nice != 0}, {"no_new_privs", c.NoNewPrivs}, {"no_core", c.NoCore},
		{"read_paths", len(c.Read) > 0}, {"write_paths", len(c.Write) > 0},
		{"cgroup", g.Dir != ""}, {"cgroup_each", g.EachProgram}, {"cgroup_memory", g.Memory != 0},
		{"cgroup_processes", g.Processes != 0}, {"cgroup_cpu", g.CPU != 0},
		{"cpu", l.CPU > 0}, {"address_space", l.AddressSpace > 0}, {"open_files", l.OpenFiles > 0},
		{"file_bytes", l.FileBytes > 0}, {"processes", l.Processes > 0},
	} {
		if k.asked {
			keys = append(keys, k.name)
		}
	}
	return keys
}

// Check returns what is wrong with RunAs, Confinement, Cgroup and the limits that
// go with them, for this process on this system: one line for each thing, which
// names its key. Requests are refused with 500 while it is not nil.
func (a *App) Check() error {
	c, err := a.confine()
	if c != nil {
		c.close()
	}
	return err
}
