package admission

import (
	"container/heap"
	"container/list"
)

// A scriptQueue is the programs of one script that run, and the requests that wait
// for it, in a lane for each client address.
type scriptQueue struct {
	name           string
	limit, running int
	byAddress      map[*clientAddress]*lane // those with somebody in them
	lanes          laneHeap                 // of these, those that are not parked
	index          int                      // in Gate.ready, or -1
}

// A clientAddress is the programs that run for one client address.
type clientAddress struct {
	name           string
	limit, running int
	waiting        int     // requests, in all lanes
	parked         []*lane // lanes that wait for one of these programs to end
}

// A lane is the requests for one script from one client address, in the order of
// arrival. It is in its script's heap, or parked while its address is at its limit.
type lane struct {
	Place
	waiters list.List // of *waiter
	index   int       // in script.lanes, or -1
	parking int       // in address.parked, or -1
}

// A waiter is a request that waits.
type waiter struct {
	seq  uint64
	turn chan struct{} // closed when it has its place
	lane *lane
	at   *list.Element
}

// wait puts a request at the end of the queue.
func (g *Gate) wait(p Place) *waiter {
	l := p.script.byAddress[p.address]
	if l == nil {
		l = &lane{Place: p, index: -1, parking: -1}
		if p.script.byAddress == nil {
			p.script.byAddress = make(map[*clientAddress]*lane)
		}
		p.script.byAddress[p.address] = l
	}
	g.seq++
	w := &waiter{seq: g.seq, turn: make(chan struct{}), lane: l}
	w.at = l.waiters.PushBack(w)
	p.address.waiting++
	g.load.Waiting++
	g.load.Waited++
	if l.waiters.Len() > 1 {
		return w
	}
	if p.address.running < p.address.limit {
		heap.Push(&p.script.lanes, l)
		g.requeue(p.script)
	} else {
		l.park()
	}
	return w
}

// remove takes a request out of the queue.
func (g *Gate) remove(w *waiter) {
	l := w.lane
	l.waiters.Remove(w.at)
	l.address.waiting--
	g.load.Waiting--
	switch {
	case l.waiters.Len() == 0:
		delete(l.script.byAddress, l.address)
		if l.index >= 0 {
			heap.Remove(&l.script.lanes, l.index)
		} else {
			l.unpark()
		}
	case l.index >= 0:
		heap.Fix(&l.script.lanes, l.index)
	}
	g.requeue(l.script)
}

// dispatch starts all that may run, in the order of arrival.
func (g *Gate) dispatch() {
	for g.free > 0 && len(g.ready) > 0 {
		s := g.ready[0]
		l := s.lanes[0]
		if l.address.running >= l.address.limit {
			heap.Pop(&s.lanes)
			l.park()
		} else {
			w := l.first()
			g.occupy(l.Place)
			g.remove(w)
			close(w.turn)
		}
		g.requeue(s)
	}
}

// requeue puts a script where it belongs: among those that are ready if it is below its
// limit and has a lane that is not parked, in the order of the first request in there.
func (g *Gate) requeue(s *scriptQueue) {
	switch ready := s.running < s.limit && len(s.lanes) > 0; {
	case ready && s.index >= 0:
		heap.Fix(&g.ready, s.index)
	case ready:
		heap.Push(&g.ready, s)
	case s.index >= 0:
		heap.Remove(&g.ready, s.index)
	}
}

// unpark gives the lanes that waited for a program of this address to end back to
// their scripts.
func (c *clientAddress) unpark(g *Gate) {
	for _, l := range c.parked {
		l.parking = -1
		heap.Push(&l.script.lanes, l)
		g.requeue(l.script)
	}
	clear(c.parked)
	c.parked = c.parked[:0]
}

func (l *lane) first() *waiter { return l.waiters.Front().Value.(*waiter) }

// park puts a lane that is in no heap among those that wait for its address.
func (l *lane) park() {
	l.parking = len(l.address.parked)
	l.address.parked = append(l.address.parked, l)
}

// unpark takes it out again.
func (l *lane) unpark() {
	c := l.address
	last := len(c.parked) - 1
	c.parked[l.parking] = c.parked[last]
	c.parked[l.parking].parking = l.parking
	c.parked[last] = nil
	c.parked = c.parked[:last]
	l.parking = -1
}

// A laneHeap has the lane whose first request came first at its top.
type laneHeap []*lane

func (h laneHeap) Len() int           { return len(h) }
func (h laneHeap) Less(i, j int) bool { return h[i].first().seq < h[j].first().seq }
func (h laneHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *laneHeap) Push(x any) {
	l := x.(*lane)
	l.index = len(*h)
	*h = append(*h, l)
}

func (h *laneHeap) Pop() any {
	last := len(*h) - 1
	l := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	l.index = -1
	return l
}

// A scriptHeap has the script whose first request came first at its top. All of them
// have a lane that is not parked.
type scriptHeap []*scriptQueue

func (h scriptHeap) Len() int { return len(h) }
func (h scriptHeap) Less(i, j int) bool {
	return h[i].lanes[0].first().seq < h[j].lanes[0].first().seq
}
func (h scriptHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *scriptHeap) Push(x any) {
	s := x.(*scriptQueue)
	s.index = len(*h)
	*h = append(*h, s)
}

func (h *scriptHeap) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	s.index = -1
	return s
}
