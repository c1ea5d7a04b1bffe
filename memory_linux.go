package gatehouse

import (
	"os"
	"path"
	"strconv"
	"strings"
)

// residentMemory returns how many bytes of this process are in memory, 0 if nobody tells.
func residentMemory() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// cgroups is where control groups of version 2 are mounted.
const cgroups = "/sys/fs/cgroup"

// memoryLimit returns the least memory.max of this process's control group and those above it,
// as far as they can be seen; 0 if there is none.
func memoryLimit() (limit int64) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		group, found := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !found {
			continue
		}
		for group = path.Clean("/" + group); ; group = path.Dir(group) {
			text, err := os.ReadFile(cgroups + group + "/memory.max")
			if n, perr := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && perr == nil && (limit == 0 || n < limit) {
				limit = n
			}
			if group == "/" {
				return limit
			}
		}
	}
	return 0
}
