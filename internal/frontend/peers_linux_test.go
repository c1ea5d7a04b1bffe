package frontend

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// TestUsers: the user of a unix socket's peer must be listed, root's processes as
// anybody's.
func TestUsers(t *testing.T) {
	me := uint32(os.Getuid())
	for _, users := range [][]uint32{{me}, {me + 2, me}, {me + 1}} {
		g := open(t, &Acceptor{Peers: Peers{Users: users}}, func(tcp net.Listener) net.Listener {
			tcp.Close()
			return testkit.Listen(t, "unix")
		})
		c, err := net.Dial("unix", <-g.listening)
		if err != nil {
			t.Fatal(err)
		}
		if users[len(users)-1] == me {
			talk(t, c)
		} else if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("Read = %d, %v; want an end", n, err)
		}
		c.Close()
		g.close(t)
		if users[len(users)-1] == me {
			continue
		}
		want := fmt.Sprintf("user %d, process %d, is not allowed (allow_users)", me, os.Getpid())
		if log := g.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "peer refused") || !strings.Contains(log, want) {
			t.Errorf("log %q, want one line with %s", log, want)
		}
	}
}
