package daemon

import (
	"os"
	"sync"
	"sync/atomic"
)

// A logFile is a file to which lines are appended, and which can be opened anew under its
// name after it has been renamed.
type logFile struct {
	path string
	next atomic.Pointer[os.File] // opened, and takes over with the next write at the latest
	mu   sync.Mutex              // held for a whole write
	file *os.File
}

func openLogFile(path string) (*logFile, error) {
	f, err := appendTo(path)
	if err != nil {
		return nil, err
	}
	return &logFile{path: path, file: f}, nil
}

func appendTo(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
}

// Write implements io.Writer.
func (f *logFile) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.change()
	return f.file.Write(p)
}

// Reopen opens the file anew. If that fails, the one that is open stays. It does not wait
// for a write that is under way. What is no regular file, and may block, stays, too.
func (f *logFile) Reopen() error {
	if info, err := os.Stat(f.path); err == nil && !info.Mode().IsRegular() {
		return nil
	}
	file, err := appendTo(f.path)
	if err != nil {
		return err
	}
	if old := f.next.Swap(file); old != nil {
		old.Close()
	}
	if f.mu.TryLock() {
		f.change()
		f.mu.Unlock()
	}
	return nil
}

// change goes on with the file that was opened last. mu is held.
func (f *logFile) change() {
	if next := f.next.Swap(nil); next != nil {
		f.file.Close()
		f.file = next
	}
}

// Close closes the file. Nothing may be written any more.
func (f *logFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.change()
	return f.file.Close()
}
