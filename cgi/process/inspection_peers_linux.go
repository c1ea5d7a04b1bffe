package process

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

const (
	maxPeers   = 4
	maxLinks   = 256       // descriptors that are looked at for sockets
	socketList = 256 << 10 // bytes of a list of sockets that are read
)

// peersOf returns the addresses that a process is connected to by TCP, by its directory in
// /proc and the names of its descriptors.
func peersOf(dir string, fds []string) (peers []string) {
	sockets := make(map[string]bool) // by inode
	for _, fd := range fds[:min(len(fds), maxLinks)] {
		link, _ := os.Readlink(dir + "/fd/" + fd)
		if inode, ok := strings.CutPrefix(link, "socket:["); ok {
			sockets[strings.TrimSuffix(inode, "]")] = true
		}
	}
	if len(sockets) == 0 {
		return nil
	}
	for _, list := range []string{"/net/tcp", "/net/tcp6"} {
		text, _ := readSome(dir+list, socketList)
		for line := range bytes.Lines(text) {
			// "sl local remote state queues timer retransmits uid timeout inode …"
			f := bytes.Fields(line)
			if len(f) < 10 || !sockets[string(f[9])] {
				continue
			}
			if p := parseEndpoint(string(f[2])); p != "" && !slices.Contains(peers, p) && len(peers) < maxPeers {
				peers = append(peers, p)
			}
		}
	}
	return peers
}

// parseEndpoint parses an address of /proc/net/tcp: words of 32 bits in the byte order of the
// machine, in hexadecimal, and the port. Of a socket that is not connected it returns "".
func parseEndpoint(s string) string {
	words, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(words)
	n, perr := strconv.ParseUint(port, 16, 16)
	if err != nil || perr != nil || n == 0 || len(raw)%4 != 0 {
		return ""
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	ip, ok := netip.AddrFromSlice(raw)
	if !ok {
		return ""
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)).String()
}
