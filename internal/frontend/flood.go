package frontend

import (
	"sync"
	"time"

	"gatehouse/cgi"
)

// floodInterval is how often there is a line of the same kind.
const floodInterval = 10 * time.Second

// floods limits the log lines that peers can cause as often as they like. Their kinds are
// texts of this program, so that their number is bounded.
type floods struct {
	mu    sync.Mutex
	kinds map[string]*flood
}

// A flood is what the log has not said yet about a kind of line.
type flood struct {
	until time.Duration // the end of the interval
	times int
	args  []any // of the last line
}

// Warn logs what a peer can cause as often as it likes. The first line of its kind, which is
// the text, is logged at once, and those that follow within 10 s only as their number, with
// the attributes of the last one: at the end of the interval, which begins another one, or
// when the Acceptor is closed.
func (a *Acceptor) Warn(text string, args ...any) {
	f := &a.floods
	f.mu.Lock()
	kind := f.kinds[text]
	if kind != nil {
		kind.times++
		kind.args = args
		f.mu.Unlock()
		return
	}
	if f.kinds == nil {
		f.kinds = make(map[string]*flood)
	}
	f.kinds[text] = &flood{until: a.Now() + floodInterval}
	f.mu.Unlock()
	a.log().Warn(text, args...)
}

// logFloods logs the numbers of the intervals that have ended, or of all of them.
func (a *Acceptor) logFloods(now time.Duration, all bool) {
	f := &a.floods
	ended := make(map[string]flood)
	f.mu.Lock()
	for text, kind := range f.kinds {
		switch {
		case !all && now < kind.until:
		case kind.times == 0:
			delete(f.kinds, text)
		default:
			ended[text] = *kind
			*kind = flood{until: now + floodInterval}
		}
	}
	f.mu.Unlock()
	for text, kind := range ended {
		a.log().Warn(text, append(kind.args, "times", kind.times)...)
	}
}

// Refusal logs, as Warn does, why a request cannot be given to an application, because of what
// the peer sent for its variables. It returns the error for [cgi.Handler.Refuse], which does
// not log it again.
func (a *Acceptor) Refusal(refusal *cgi.StatusError, peer string) *cgi.StatusError {
	a.Warn("request refused: its variables are malformed, or too many", "peer", peer, "status", refusal.Code, "error", refusal.Err)
	refusal.Logged = true
	return refusal
}
