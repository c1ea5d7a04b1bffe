package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rights of Landlock: to files, and to what is in directories.
const (
	readFile  = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE
	readRight = readFile | unix.LANDLOCK_ACCESS_FS_READ_DIR
	writeFile = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV

	// allRights are those of the first version. Each later one adds a right.
	allRights = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1
)

// anyDevice are what programs of every kind open.
var anyDevice = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}

// handledRights returns what the kernel can restrict. Linux 6.2 added truncation (of files
// that could be opened for reading anyway, and belong to the user), 6.10 the ioctls
// of devices; before, these are not restricted.
func handledRights() (uint64, error) {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	switch errno {
	case 0:
	case unix.ENOSYS, unix.EOPNOTSUPP:
		return 0, errors.New("read_paths, write_paths: the kernel has no Landlock (Linux 5.13, and landlock among the lsm= of its command line): remove them")
	default:
		return 0, fmt.Errorf("read_paths, write_paths: %w", os.NewSyscallError("landlock_create_ruleset", errno))
	}
	rights := uint64(allRights)
	if version >= 2 {
		rights |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if version >= 3 {
		rights |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if version >= 5 {
		rights |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	return rights, nil
}

// newRuleset returns a descriptor of the Landlock rules that r asks for.
func newRuleset(r *Rules) (rules int, err error) {
	handled, err := handledRights()
	if err != nil {
		return -1, err
	}
	attr := unix.LandlockRulesetAttr{Handled_access_fs: handled}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET,
		uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr.Handled_access_fs), 0)
	if errno != 0 {
		return -1, os.NewSyscallError("landlock_create_ruleset", errno)
	}
	rules = int(fd)
	unix.CloseOnExec(rules)
	for _, set := range []struct {
		key    string
		paths  []string
		rights uint64
	}{
		{"scripts", r.Roots, readRight},
		{"follow", r.Follow, readRight},
		{"read_paths", r.Confinement.Read, readRight},
		{"write_paths", r.Confinement.Write, handled},
		{"", anyDevice, readFile | writeFile},
	} {
		for _, path := range set.paths {
			err := allow(rules, path, set.rights&handled)
			if errors.Is(err, fs.ErrNotExist) && set.key == "" {
				continue
			}
			if err != nil {
				unix.Close(rules)
				return -1, fmt.Errorf("%s: %s: %w", set.key, path, err)
			}
		}
	}
	return rules, nil
}

// allow gives rights to a file, or to a directory and what is in it.
func allow(rules int, path string, rights uint64) error {
	if !filepath.IsAbs(path) {
		return errors.New("is not an absolute path")
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= readFile | writeFile
	}
	attr := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(rules), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 {
		return os.NewSyscallError("landlock_add_rule", errno)
	}
	return nil
}

// restrictSelf restricts this thread, and what it starts, for good.
func restrictSelf(rules int) error {
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(rules), 0, 0); errno != 0 {
		return os.NewSyscallError("landlock_restrict_self", errno)
	}
	return nil
}
