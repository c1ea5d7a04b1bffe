package process

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// identify looks up the user that programs run as.
func (l *Launcher) identify() error {
	r := &l.rules.RunAs
	root := os.Geteuid() == 0
	me := userNamed(uint32(os.Geteuid()))
	switch {
	case r.Owner && (r.User != "" || r.Group != ""):
		return errors.New(`run_as: "owner" is in place of user and group: remove them, or it`)
	case r.Owner && !root:
		return fmt.Errorf(`run_as: only root can run programs as their owners, and this process runs as %s: start it as root, or remove run_as`, me)
	case r.MinUID < 0 || r.MinGID < 0:
		return errors.New("min_uid, min_gid: a negative number")
	case r.Owner:
		l.owners = &owners{known: make(map[uint32]*owner)}
		return nil
	case r.User == "" && r.Group == "":
		return nil
	case r.User == "":
		return errors.New("group: without user: write user, too")
	}
	cred, home, err := lookupUser(r.User, r.Group)
	if err != nil {
		return err
	}
	l.home = home
	if cred.Uid == 0 {
		return errors.New("user: programs do not run as root: write another user, or remove user and start gatehouse as root with all that this means")
	}
	if !root {
		if cred.Uid == l.uid && (r.Group == "" || cred.Gid == uint32(os.Getegid())) {
			return nil // as they do anyway
		}
		return fmt.Errorf("user: only root can run programs as %s, and this process runs as %s: start it as root, or remove user", userNamed(cred.Uid), me)
	}
	l.user, l.uid = cred, cred.Uid
	return nil
}

// lookupUser returns the numbers of a user, by name or number, and of the groups that
// it is in (as initgroups(3) has them). A number without an entry in the user
// database needs a group, is in no other, and has no home.
func lookupUser(name, group string) (_ *syscall.Credential, home string, _ error) {
	var cred syscall.Credential
	u, err := user.Lookup(name)
	if n, nerr := strconv.ParseUint(name, 10, 32); err != nil && nerr == nil && n < math.MaxUint32 {
		if u, err = user.LookupId(name); err != nil && !isSystem(err) {
			if group == "" {
				return nil, "", fmt.Errorf("user: there is no user %s: a number without a user needs a group: write group, too", name)
			}
			u, err = &user.User{Uid: name, Gid: "0"}, nil
		}
	}
	if isSystem(err) {
		return nil, "", fmt.Errorf("user: %w", err)
	}
	if err != nil {
		return nil, "", fmt.Errorf("user: there is no user %q: create it, or write another one", name)
	}
	cred.Uid = number(u.Uid)
	cred.Gid = number(u.Gid)
	if group != "" {
		g, err := user.LookupGroup(group)
		if err == nil {
			cred.Gid = number(g.Gid)
		} else if n, nerr := strconv.ParseUint(group, 10, 32); nerr == nil && n < math.MaxUint32 {
			cred.Gid = uint32(n)
		} else {
			return nil, "", fmt.Errorf("group: there is no group %q: create it, or write another one", group)
		}
	}
	if cred.Gid == 0 && cred.Uid != 0 {
		return nil, "", fmt.Errorf("group: %s would have root's group: write another group", userNamed(cred.Uid))
	}
	cred.Groups = []uint32{cred.Gid}
	if u.Username != "" {
		ids, err := u.GroupIds()
		if err != nil {
			return nil, "", fmt.Errorf("user: the groups of %s: %w", u.Username, err)
		}
		for _, id := range ids {
			// Root's group stays out, and the user's own where another one is named takes
			// part as any other.
			if n := number(id); n != cred.Gid && n != 0 {
				cred.Groups = append(cred.Groups, n)
			}
		}
	}
	return &cred, u.HomeDir, nil
}

// isSystem reports whether err is the system's, such as that of a user database that cannot
// be read. Where there is none, as in a container from scratch, there are no users.
func isSystem(err error) bool {
	return errors.As(err, new(syscall.Errno)) && !errors.Is(err, fs.ErrNotExist)
}

func number(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return math.MaxUint32 // no user, and refused by the kernel
	}
	return uint32(n)
}

// userNamed names a user in a message.
func userNamed(uid uint32) string {
	if u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
		return "user " + u.Username
	}
	return fmt.Sprintf("user %d", uid)
}

func groupNamed(gid uint32) string {
	if g, err := user.LookupGroupId(strconv.FormatUint(uint64(gid), 10)); err == nil {
		return "group " + g.Name
	}
	return fmt.Sprintf("group %d", gid)
}

// owners remembers the users that own programs, for a minute and so many at most.
type owners struct {
	mu    sync.Mutex
	known map[uint32]*owner
}

type owner struct {
	user  *syscall.Credential
	home  string
	err   error
	until time.Time
}

const (
	maxOwners = 1024
	ownerTime = time.Minute
)

func (o *owners) lookup(uid uint32, now time.Time) *owner {
	o.mu.Lock()
	w := o.known[uid]
	o.mu.Unlock()
	if w != nil && now.Before(w.until) {
		return w
	}
	w = &owner{until: now.Add(ownerTime)}
	switch u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); {
	case err == nil:
		w.user, w.home, w.err = lookupUser(u.Uid, "")
	case isSystem(err):
		w.err = err
	default:
		w.err = fmt.Errorf("is owned by number %d, which is no user", uid)
	}
	if isSystem(w.err) {
		return w // which may pass
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.known) >= maxOwners {
		clear(o.known)
	}
	o.known[uid] = w
	return w
}

// Home returns the home directory, as programs see it, of the user that the program path
// runs as by RunAs, or "": it runs as this process does, or nothing is known of its user.
func (l *Launcher) Home(path string) string {
	home := l.home
	if l.owners != nil {
		var st unix.Stat_t
		if unix.Stat(path, &st) != nil {
			return "" // no start will come of it
		}
		home = l.owners.lookup(st.Uid, time.Now()).home
	}
	if home == "" || l.chroot == "" {
		return home
	}
	if inside, err := l.Inside(home); err == nil {
		return inside
	}
	if info, err := os.Stat(filepath.Join(l.chroot, home)); err == nil && info.IsDir() {
		return home
	}
	return "/"
}

// A pinned is a program that was checked, in a directory that is held open.
type pinned struct {
	dir  int // a descriptor
	name string
	user *syscall.Credential // if it runs as its owner
}

// pin checks a program and its directory. What was checked is what runs: the
// directory is held, and who may write in it is among the checks.
func (l *Launcher) pin(path string) (p pinned, err error) {
	realPath, err := filepath.EvalSymlinks(path)
	if err != nil {
		return p, err
	}
	p.name = filepath.Base(realPath)
	p.dir, err = unix.Open(filepath.Dir(realPath), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return p, err
	}
	defer func() {
		if err != nil {
			unix.Close(p.dir)
			p.dir = -1
		}
	}()
	// It may be another directory by now than the one that was looked up.
	dir, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(p.dir))
	if err != nil {
		return p, err
	}
	if !l.within(filepath.Join(dir, p.name)) {
		return p, ErrOutside
	}
	if l.chroot != "" {
		if _, in := below(l.chroot, dir); !in {
			return p, errOutsideChroot
		}
	}
	var file, parent unix.Stat_t
	if err := unix.Fstat(p.dir, &parent); err != nil {
		return p, err
	}
	if err := unix.Fstatat(p.dir, p.name, &file, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return p, err
	}
	if file.Mode&unix.S_IFMT != unix.S_IFREG {
		return p, ErrIrregular
	}
	p.user, err = l.examine(dir, &file, &parent)
	return p, err
}

// within reports whether a path without symlinks lies in a root or a follow
// directory, or is such a root.
func (l *Launcher) within(path string) bool {
	for _, list := range [][]string{l.rules.Roots, l.rules.Follow} {
		for _, d := range list {
			if realDir, err := filepath.EvalSymlinks(d); err == nil {
				if _, in := below(realDir, path); in {
					return true
				}
			}
		}
	}
	return false
}

// examine checks owners and modes, and returns the user that the program runs as if
// that is its owner.
func (l *Launcher) examine(dir string, file, parent *unix.Stat_t) (*syscall.Credential, error) {
	r, o := &l.rules.RunAs, &l.rules.Confinement
	var cred *syscall.Credential
	if r.Owner {
		var err error
		if cred, err = l.examineOwner(dir, file, parent); err != nil {
			return nil, err
		}
	}
	if o.CheckOwner && !r.Owner {
		for _, f := range []struct {
			what string
			uid  uint32
		}{{"is", file.Uid}, {"is in " + dir + ", which is", parent.Uid}} {
			if f.uid != 0 && f.uid != l.uid {
				return nil, fmt.Errorf("%s owned by %s, not by root or %s (check_owner): chown it", f.what, userNamed(f.uid), userNamed(l.uid))
			}
		}
	}
	if r.Owner || o.CheckMode {
		key := "check_mode"
		if r.Owner {
			key = "run_as"
		}
		const others = unix.S_IWGRP | unix.S_IWOTH
		switch {
		case file.Mode&others != 0:
			return nil, fmt.Errorf("is writable by its group or by others, mode %04o (%s): chmod go-w", file.Mode&0o7777, key)
		case parent.Mode&others != 0:
			return nil, fmt.Errorf("is in %s, which is writable by its group or by others, mode %04o (%s): chmod go-w", dir, parent.Mode&0o7777, key)
		case file.Mode&(unix.S_ISUID|unix.S_ISGID) != 0:
			return nil, fmt.Errorf("has a set-user-ID or set-group-ID bit, mode %04o (%s): chmod ug-s", file.Mode&0o7777, key)
		}
	}
	return cred, nil
}

// examineOwner checks what suexec checks of the owner.
func (l *Launcher) examineOwner(dir string, file, parent *unix.Stat_t) (*syscall.Credential, error) {
	r := &l.rules.RunAs
	least, leastGroup := uint32(minUID), uint32(minGID)
	if r.MinUID != 0 {
		least = uint32(r.MinUID)
	}
	if r.MinGID != 0 {
		leastGroup = uint32(r.MinGID)
	}
	switch {
	case file.Uid == 0:
		return nil, errors.New("is owned by root, and programs run as their owners, but never as root (run_as): chown it")
	case file.Uid < least:
		return nil, fmt.Errorf("is owned by %s, whose number %d is below %d (min_uid)", userNamed(file.Uid), file.Uid, least)
	case parent.Uid != file.Uid:
		return nil, fmt.Errorf("is in %s, which is owned by %s, not by %s, its own owner (run_as): chown one of them", dir, userNamed(parent.Uid), userNamed(file.Uid))
	}
	w := l.owners.lookup(file.Uid, time.Now())
	cred := w.user
	switch {
	case w.err != nil:
		return nil, w.err
	case cred.Gid < leastGroup:
		return nil, fmt.Errorf("is owned by %s, whose group has number %d, below %d (min_gid)", userNamed(file.Uid), cred.Gid, leastGroup)
	case file.Gid != cred.Gid:
		return nil, fmt.Errorf("belongs to %s, not to %s, its owner's (run_as): chgrp it", groupNamed(file.Gid), groupNamed(cred.Gid))
	case parent.Gid != cred.Gid:
		return nil, fmt.Errorf("is in %s, which belongs to %s, not to %s, its owner's (run_as): chgrp it", dir, groupNamed(parent.Gid), groupNamed(cred.Gid))
	}
	return cred, nil
}
