//go:build unix && !linux

package daemon

import "os"

// mayChown reports whether this process may give files to other users.
func mayChown() bool { return os.Geteuid() == 0 }
