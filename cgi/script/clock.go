package script

import (
	"net/http"
	"time"
)

// watchTime starts the clock of the limits. It looks when the nearest of them may
// be over, and not at every byte.
func (u *run) watchTime() {
	u.mu.Lock()
	defer u.mu.Unlock()
	first := min(attendAfter, u.limits.FirstByte, u.limits.Silence, u.limits.Run)
	if u.limits.CPU != forever {
		first = min(first, u.cpuPause(0))
	}
	u.timer = time.AfterFunc(first, u.tick)
}

func (u *run) tick() {
	if u.proc.hasExited() {
		return
	}
	u.attend()
	now, l := time.Duration(u.since()), u.limits
	next := time.Duration(forever)
	over := func(name string, from, limit time.Duration) bool {
		if limit == forever {
			return false
		}
		if now-from < limit {
			next = min(next, limit-(now-from))
			return false
		}
		u.end(u.errorf(http.StatusGatewayTimeout, "%s of %v is over", name, limit))
		return true
	}
	if over("run", 0, l.Run) {
		return
	}
	if l.CPU != forever {
		used := u.proc.cpuTime()
		if used >= l.CPU {
			u.end(u.errorf(http.StatusGatewayTimeout, "cpu of %v is over", l.CPU))
			return
		}
		next = min(next, u.cpuPause(used))
	}
	if !u.answered.Load() {
		if passed := u.passed.Load(); passed == 0 {
			next = min(next, l.FirstByte)
		} else if over("first_byte", time.Duration(passed), l.FirstByte) {
			return
		}
	}
	if u.sending.Load() {
		next = min(next, l.Silence)
	} else if over("silence", time.Duration(u.last.Load()), l.Silence) {
		return
	}
	if next != forever {
		u.mu.Lock()
		u.timer.Reset(max(next, time.Millisecond))
		u.mu.Unlock()
	}
}
