//go:build unix

package gatehouse

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// socketAttrs says who may connect to a unix socket, for the log.
func socketAttrs(path string) []any {
	info, err := os.Lstat(path)
	if err != nil {
		return nil
	}
	attrs := []any{"mode", fmt.Sprintf("%04o", info.Mode().Perm())}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		owner, group := strconv.Itoa(int(st.Uid)), strconv.Itoa(int(st.Gid))
		if u, err := user.LookupId(owner); err == nil {
			owner = u.Username
		}
		if g, err := user.LookupGroupId(group); err == nil {
			group = g.Name
		}
		attrs = append(attrs, "owner", owner, "group", group)
	}
	return attrs
}
