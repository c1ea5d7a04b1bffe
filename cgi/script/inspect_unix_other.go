//go:build unix && !linux

package script

// isNoexec does not know.
func isNoexec(string) bool { return false }

func mountPoint(string) string { return "/" }
