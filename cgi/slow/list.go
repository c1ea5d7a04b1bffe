package slow

import (
	"time"

	"gatehouse/cgi"
)

// An entry is a request under way. The mu of its App guards all of it, but for progress.
type entry struct {
	before, after *entry

	progress cgi.Progress
	number   uint32       // that the stack of its goroutine spells; the entry keeps it
	request  *cgi.Request // until it has ended
	begun    time.Time
	method   string
	target   string

	judged    bool // it has been found slow
	logged    bool
	reporting bool // a line is being made
	ended     bool
}

// maxFree bounds how many entries are kept for further requests.
const maxFree = 256

// A list holds the requests under way, the oldest first. Those at the beginning have been
// judged.
type list struct {
	ring  entry  // before the first, and behind the last
	next  *entry // the first that has not been judged, or &ring
	free  []*entry
	made  uint32
	slows int // those that have been judged, and not logged
}

func (l *list) init() {
	l.ring.before, l.ring.after = &l.ring, &l.ring
	l.next = &l.ring
}

// add returns an entry at the end. One that is new has no number.
func (l *list) add() (e *entry) {
	if n := len(l.free); n > 0 {
		e = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		e = new(entry)
		l.made++
	}
	e.before, e.after = l.ring.before, &l.ring
	e.before.after, l.ring.before = e, e
	if l.next == &l.ring {
		l.next = e
	}
	return e
}

func (l *list) remove(e *entry) {
	if l.next == e {
		l.next = e.after
	}
	e.before.after, e.after.before = e.after, e.before
	e.before, e.after = nil, nil
	if e.judged && !e.logged {
		l.slows--
	}
	e.ended, e.request = true, nil
	if e.reporting || len(l.free) >= maxFree {
		return // whoever makes the line still looks at it
	}
	e.progress.Reset()
	e.request, e.method, e.target = nil, "", ""
	e.judged, e.logged, e.ended = false, false, false
	l.free = append(l.free, e)
}

// find returns the request with this number, or nil.
func (l *list) find(id uint64) *entry {
	if l.ring.after == nil {
		return nil // none has begun
	}
	for e := l.ring.after; e != &l.ring; e = e.after {
		if e.request.ID == id {
			return e
		}
	}
	return nil
}

// fresh returns the oldest that has not been judged, or nil.
func (l *list) fresh() *entry {
	if l.next == &l.ring {
		return nil
	}
	return l.next
}

// judge notes that what fresh has returned is slow.
func (l *list) judge(e *entry) {
	e.judged = true
	l.next = e.after
	l.slows++
}

// slow returns the oldest that is slow and has not been logged, or nil.
func (l *list) slow() *entry {
	if l.slows == 0 {
		return nil
	}
	for e := l.ring.after; e != l.next; e = e.after {
		if !e.logged {
			return e
		}
	}
	return nil
}
