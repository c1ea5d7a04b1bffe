package script

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// isNoexec reports whether the file system of path lets nothing be executed.
func isNoexec(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Flags&unix.ST_NOEXEC != 0
}

// mountPoint returns where the file system of path is mounted, as far as /proc tells.
func mountPoint(path string) string {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "above it"
	}
	at := "/"
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		point := octal.Replace(fields[4])
		if _, in := below(point, path); in && len(point) >= len(at) {
			at = point
		}
	}
	return at
}

// octal undoes the escapes of /proc/self/mountinfo.
var octal = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
