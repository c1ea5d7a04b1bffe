package script

import (
	"fmt"
	"net/http"
	"runtime"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/relay"
)

// relay returns the limits of time that hold for any response.
func (l *Limits) relay() relay.Limits {
	return relay.Limits{FirstByte: l.FirstByte, Silence: l.Silence, Run: l.Run}
}

// watchTime starts the clock of the limits. It looks when the nearest of them may
// have passed, and not at every byte.
func (u *run) watchTime() {
	u.mu.Lock()
	defer u.mu.Unlock()
	first := min(attendAfter, u.limits.FirstByte, u.limits.Silence, u.limits.Run)
	if u.limits.CPU != forever {
		first = min(first, u.cpuPause(0))
	}
	u.timer.Reset(first)
}

func (u *run) tick() {
	if u.proc.HasExited() {
		return
	}
	u.attend()
	name, limit, next := u.activity.Expired(u.limits.relay())
	if name == "" && u.limits.CPU != forever {
		used := u.proc.CPUTime()
		if used >= u.limits.CPU {
			name, limit = "cpu", u.limits.CPU
		}
		next = min(next, u.cpuPause(used))
	}
	if name != "" {
		u.abort(&cgi.StatusError{Code: http.StatusGatewayTimeout, Err: fmt.Errorf("%s: %s of %v is over", u.target.path, name, limit), Check: name})
		return
	}
	if next != forever {
		u.timer.Reset(max(next, time.Millisecond))
	}
}

// cpuPause is how long it takes at least until a program that has used so much CPU
// time can have used up the limit.
func (u *run) cpuPause(used time.Duration) time.Duration {
	return max((u.limits.CPU-used)/time.Duration(runtime.NumCPU()), 10*time.Millisecond)
}
