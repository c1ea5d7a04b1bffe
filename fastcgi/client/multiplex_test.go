package client

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"gatehouse/fastcgi/record"
)

// TestMultiplexed: the records of responses come by turns, and each goes where it belongs.
func TestMultiplexed(t *testing.T) {
	const requests = 5
	c, far := pipe(t)
	wait := meanwhile(func() {
		for stdins := 0; stdins < requests; { // in any order
			if h, _, err := far.records.Next(); err != nil {
				t.Error(err)
				return
			} else if h.Type() == record.Stdin {
				stdins++
			}
		}
		for range 3 {
			for id := uint16(requests); id > 0; id-- {
				far.send(stdout(id, strings.Repeat(string(rune('a'+id)), int(id))))
			}
		}
		for id := uint16(1); id <= requests; id++ {
			far.send(ended(id, uint32(id), 0))
		}
	})
	var g sync.WaitGroup
	for id := uint16(1); id <= requests; id++ {
		g.Go(func() {
			_, err := c.Do(t.Context(), &Request{ID: id, KeepConn: true})
			e, ok := errors.AsType[*EndError](err)
			if !ok || e.End.AppStatus != uint32(id) || !strings.Contains(err.Error(), strings.Repeat(string(rune('a'+id)), 3*int(id))) {
				t.Errorf("request %d: %v", id, err)
			}
		})
	}
	g.Wait()
	wait()
	if err := c.Err(); err != nil {
		t.Error(err)
	}
}

// TestSlowReader: a response that nobody reads is kept to a bound, then it holds up the
// others until it is read, or closed.
func TestSlowReader(t *testing.T) {
	for _, closes := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c, far := pipe(t)
			large := strings.Repeat("x", 60<<10)
			wait := meanwhile(func() {
				far.until(record.Stdin, 1)
				far.send(stdout(1, "A: b\n\n"))
				far.until(record.Stdin, 2)
				for range 10 {
					far.send(stdout(1, large))
				}
				if closes {
					far.until(record.AbortRequest, 1)
				}
				far.send(ended(1, 0, 0), hello(2))
			})
			slow, err := c.Do(t.Context(), &Request{KeepConn: true})
			if err != nil {
				t.Fatal(err)
			}
			got := make(chan string)
			go func() {
				quick, err := c.Do(t.Context(), &Request{KeepConn: true})
				if err != nil {
					t.Error(err)
					close(got)
					return
				}
				defer quick.Close()
				got <- body(t, quick)
			}()
			synctest.Wait()
			c.mu.Lock()
			if kept := len(slow.x.kept) + len(slow.x.view); kept < 60<<10 || kept > 128<<10 {
				t.Errorf("%d bytes are kept", kept)
			}
			c.mu.Unlock()
			if closes {
				go slow.Close()
			} else if n := len(body(t, slow)); n != 10*len(large) {
				t.Errorf("%d bytes of the slow response", n)
			}
			if b := <-got; b != "hello" {
				t.Errorf("the other: %q", b)
			}
			wait()
			synctest.Wait()
			slow.Close()
			if err := c.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}
