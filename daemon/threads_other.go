//go:build !linux

package daemon

import "log/slog"

// reserveThreads does nothing: threads do not count as processes.
func reserveThreads(*slog.Logger) {}
