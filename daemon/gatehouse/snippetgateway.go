package main

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse"
	"gatehouse/daemon"
	"gatehouse/deploy"
)

// gatewayOf returns a configuration as a web server on this machine sees it.
func gatewayOf(config *daemon.Config) (deploy.Gateway, error) {
	outline, err := config.Outline()
	if err != nil {
		return deploy.Gateway{}, err
	}
	g := deploy.Gateway{Timeout: outline.Patience}
	for _, l := range outline.Listeners {
		seen, err := listenerOf(l, config)
		if err != nil {
			return deploy.Gateway{}, err
		}
		g.Listeners = append(g.Listeners, seen)
	}
	for _, m := range outline.Mounts {
		prefix := strings.TrimRight(m.Prefix, "/")
		if prefix == "" {
			prefix = "/"
		}
		g.Mounts = append(g.Mounts, deploy.Mount{Prefix: prefix, Source: m.Configured, Files: m.Kind == "files", Kept: m.Kind != "files" && m.Kind != "scripts"})
	}
	return g, nil
}

// listenerOf returns an address as a web server on this machine sees it. What cannot be told
// it is the Err of the result.
func listenerOf(l daemon.Listener, config *daemon.Config) (deploy.Listener, error) {
	a := l.Address
	seen := deploy.Listener{Protocol: string(l.Protocol), Name: a.String(), Host: a.Host, Port: a.Port, Path: a.Path, Mode: a.Mode, Owner: a.Owner, Group: a.Group}
	flag := "--" + seen.Protocol
	switch a.Kind {
	case daemon.AddressUnix:
		path, err := filepath.Abs(a.Path)
		if err != nil {
			return seen, err
		}
		seen.Path, seen.Name = path, "unix:"+path
	case daemon.AddressDescriptor:
		seen.Err = fmt.Errorf("what starts gatehouse has opened it: write the address, as in %s unix:PATH", flag)
	case daemon.AddressPipe:
		seen.Err = fmt.Errorf("IIS alone connects to a named pipe: start gatehouse with %s 127.0.0.1:9000, too", flag)
	case daemon.AddressSystemd:
		seen.Path, seen.Group = packagedSocket(a.Name, config.File), "www-data"
		if seen.Path == "" {
			seen.Err = fmt.Errorf("its socket unit says where: write the ListenStream= of that, as in %s unix:PATH", flag)
			break
		}
		seen.Remarks = []string{fmt.Sprintf("That is %s, where the socket unit of the packages listens. If yours has another ListenStream=, run this again with %s unix:PATH.", seen.Path, flag)}
	case daemon.AddressTCP:
		seen.Err = lookAt(&seen, config.Allow)
	}
	return seen, nil
}

// packagedSocket returns the path of the socket with a name in a configuration of the packages,
// of which gatehouse.socket and gatehouse@.socket open one; or "".
func packagedSocket(name, file string) string {
	dir, base := path.Split(file)
	site, isTOML := strings.CutSuffix(base, ".toml")
	if name != "fastcgi" || dir != "/etc/gatehouse/" || !isTOML {
		return ""
	}
	if site == "gatehouse" {
		site = name
	}
	return "/run/gatehouse/" + site + ".sock"
}

// lookAt makes a TCP address one to connect to, and says who may. It returns why that cannot be.
func lookAt(seen *deploy.Listener, allow []netip.Prefix) error {
	if seen.Port == 0 {
		return errors.New("it is another port after each start: write a port")
	}
	if strings.EqualFold(seen.Host, "localhost") {
		seen.Host = "127.0.0.1" // to which gatehouse resolves it; a web server may try ::1 first
	}
	ip, err := netip.ParseAddr(seen.Host)
	if ip.Is4In6() {
		ip = ip.Unmap()
		seen.Host = ip.String()
	}
	if err == nil && ip.IsLoopback() {
		if seen.Protocol != string(gatehouse.HTTP) {
			seen.Remarks = []string{"Every user of this machine can connect to that port and set every variable. A unix socket has permissions."}
		}
		return nil
	}
	if ip.Zone() != "" {
		return errors.New("the web server may know the link by another name: write an address without %" + ip.Zone())
	}
	every := seen.Host == "" || err == nil && ip.IsUnspecified()
	local := netip.MustParseAddr("127.0.0.1")
	if ip.Is6() {
		local = netip.IPv6Loopback()
	}
	switch allowed := slices.ContainsFunc(allow, func(p netip.Prefix) bool { return p.Contains(local) }); {
	case len(allow) == 0 && seen.Protocol == string(gatehouse.HTTP):
		seen.Remarks = []string{"Other machines can reach that address without the web server; --allow keeps them out."}
	case len(allow) == 0:
		seen.Remarks = []string{"Other machines can reach that address, so gatehouse listens there only with --allow and the address that the web server connects from."}
	case every && !allowed:
		return fmt.Errorf("it is every address of this machine, and --allow does not have %v: write the one that the web server connects to, or add --allow %[1]v", local)
	default:
		seen.Remarks = []string{fmt.Sprintf("gatehouse accepts connections from %s only (--allow), so the web server has to connect from there.", joinPrefixes(allow))}
	}
	if every {
		seen.Host = local.String()
		seen.Remarks = append(seen.Remarks, fmt.Sprintf("gatehouse listens at every address of this machine. A web server on another one connects to one of those in place of %s.", seen.Host))
	}
	return nil
}

func joinPrefixes(list []netip.Prefix) string {
	var words []string
	for _, p := range list {
		words = append(words, p.String())
	}
	return strings.Join(words, ", ")
}
