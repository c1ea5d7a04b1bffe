package script

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// statBeneath returns the mode of the file rel, followed through symlinks that stay
// below root. One that leaves it is errOutside, as is everything where the kernel
// (before 5.6) or a sandbox does not offer openat2: then the caller resolves the
// symlinks itself.
func statBeneath(root, rel string) (fs.FileMode, error) {
	dir, err := openRetry(unix.AT_FDCWD, root, &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC})
	if err != nil {
		return 0, outside(err)
	}
	defer unix.Close(dir)
	fd, err := openRetry(dir, rel, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return 0, outside(err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, err
	}
	mode := fs.FileMode(st.Mode & 0o777)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		mode |= fs.ModeDir
	default:
		mode |= fs.ModeIrregular
	}
	return mode, nil
}

// openRetry is openat2, which says EAGAIN when a name was changed under it.
func openRetry(dir int, path string, how *unix.OpenHow) (fd int, err error) {
	for range 10 {
		fd, err = unix.Openat2(dir, path, how)
		if err != unix.EAGAIN && err != unix.EINTR {
			break
		}
	}
	return fd, err
}

func outside(err error) error {
	switch {
	case errors.Is(err, unix.EXDEV), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM), errors.Is(err, unix.EAGAIN):
		return errOutside
	}
	return err
}
