//go:build !linux

package systemd

// Reloading says that the process reads its configuration anew. Ready must follow, whether
// that succeeded or not.
func (n *Notifier) Reloading() error { return n.Send("RELOADING=1") }
