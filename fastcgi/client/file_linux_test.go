package client

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/fastcgi/record"
	"gatehouse/internal/nowait"
	"gatehouse/internal/testkit"
)

// TestFile: a part of a file is the rest of a response. Whatever else comes along is closed, and
// breaks the connection, as does a record that is about none.
func TestFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	os.WriteFile(name, []byte("0123456789"), 0o600)
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	about := func(content ...uint64) []byte {
		var b []byte
		for _, n := range content {
			b = binary.BigEndian.AppendUint64(b, n)
		}
		return record.AppendRecord(nil, record.Data, 1, b)
	}
	one, two := unix.UnixRights(int(file.Fd())), unix.UnixRights(int(file.Fd()), int(file.Fd()))
	stdout, end := record.AppendRecord(nil, record.Stdout, 1, []byte("head\n")), record.AppendEndRequest(nil, 1, 0, record.RequestComplete)
	empty := record.AppendRecord(nil, record.Stdout, 1, nil)
	type piece struct {
		b      []byte
		rights []byte
	}
	join := func(records ...[]byte) []byte { return bytes.Join(records, nil) }
	for _, tt := range []struct {
		name   string
		pieces []piece
		file   string // of which the part is
		wrong  string // the reason of a ProtocolError
		kept   bool   // by who lets the response go before its end
	}{
		{"with all", []piece{{join(stdout, about(2, 5), end), one}}, "23456", "", false},
		{"alone", []piece{{join(about(0, 10), end), one}}, "0123456789", "", false},
		{"in pieces", []piece{{stdout, nil}, {about(9, 0)[:5], one}, {about(9, 0)[5:], nil}, {end, nil}}, "", "", false},
		{"ahead", []piece{{stdout, one}, {join(about(1, 1), end), nil}}, "1", "", false},
		{"with the end of its stream", []piece{{join(stdout, about(1, 1), empty, end), one}}, "1", "", false},
		{"none", []piece{{join(stdout, about(0, 1), end), nil}}, "", "not a record of a response", false},
		{"two", []piece{{join(stdout, about(0, 1), end), two}}, "", nowait.ErrFiles.Error(), false},
		{"two in turn", []piece{{stdout, one}, {join(about(0, 1), end), one}}, "", nowait.ErrFiles.Error(), false},
		{"twice", []piece{{join(stdout, about(0, 1)), one}, {join(about(0, 1), end), one}}, "", "the stream has ended", false},
		{"with no record about it", []piece{{join(stdout, end), one}}, "", "a file was sent that no record is about", false},
		{"two with no record about them", []piece{{join(stdout, end), two}}, "", nowait.ErrFiles.Error(), false},
		{"behind the end of the stream", []piece{{join(stdout, empty, about(0, 1), end), one}}, "", "the stream has ended", false},
		{"ahead of more", []piece{{join(about(0, 1), stdout, end), one}}, "", "the stream has ended", false},
		{"no length", []piece{{join(stdout, about(0), end), one}}, "", "it has no offset and length of a part of a file", false},
		{"more", []piece{{join(stdout, about(0, 1, 2), end), one}}, "", "it has no offset and length of a part of a file", false},
		{"no offset", []piece{{join(stdout, about(math.MaxUint64, 1), end), one}}, "", "it has no offset and length of a part of a file", false},
		{"too long", []piece{{join(stdout, about(1, math.MaxInt64), end), one}}, "", "it has no offset and length of a part of a file", false},
		{"not wanted", []piece{{join(stdout, about(0, 1)), one}}, "", "", true},
		{"not taken", []piece{{join(stdout, about(0, 1), end), one}}, "", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			near, far := testkit.Pair(t, "unix")
			nc := nowait.New(near)
			nc.ReceiveFiles()
			c := New(nc)
			open := testkit.Descriptors(t)
			resp, err := c.Begin(t.Context(), &Request{ID: 1, KeepConn: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range tt.pieces {
				if _, _, err := far.(*net.UnixConn).WriteMsgUnix(p.b, p.rights, nil); err != nil {
					t.Fatal(err)
				}
			}
			var body []byte
			if tt.kept {
				_, err = io.ReadFull(resp, make([]byte, 5))
				if tt.name == "not taken" && err == nil {
					_, err = io.ReadAll(resp)
				}
			} else {
				body, err = io.ReadAll(resp)
			}
			var wrong *ProtocolError
			switch {
			case tt.wrong != "":
				if !errors.As(err, &wrong) || wrong.Reason != tt.wrong {
					t.Errorf("%v, want %q", err, tt.wrong)
				}
			case err != nil:
				t.Error(err)
			case !tt.kept:
				f := resp.File()
				if f == nil {
					t.Fatal("no file")
				}
				got, err := io.ReadAll(io.NewSectionReader(f, f.Offset, f.Length))
				if string(got) != tt.file || err != nil || resp.File() != nil {
					t.Errorf("%q, %v", got, err)
				}
				f.Close()
				if want := "head\n"; tt.name != "alone" && string(body) != want {
					t.Errorf("%q", body)
				}
			}
			resp.Close()
			c.Close()
			if now := testkit.Descriptors(t); now > open-1 {
				t.Errorf("%d descriptors are left", now-(open-1))
			}
		})
	}
}

// TestFileRefused: on a connection that receives no descriptors, there is no record about one.
func TestFileRefused(t *testing.T) {
	c, far := sockets(t, "unix")
	open := testkit.Descriptors(t)
	resp, err := c.Begin(t.Context(), &Request{ID: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Close()
	if _, _, err := far.(*net.UnixConn).WriteMsgUnix(AppendFile(nil, 1, 0, 1), unix.UnixRights(0), nil); err != nil {
		t.Fatal(err)
	}
	var wrong *ProtocolError
	if _, err := io.ReadAll(resp); !errors.As(err, &wrong) || wrong.Reason != "not a record of a response" {
		t.Errorf("%v", err)
	}
	resp.Close()
	if now := testkit.Descriptors(t); now >= open {
		t.Errorf("%d descriptors are left", now-open+1)
	}
}
