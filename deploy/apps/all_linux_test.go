package apps_test

// applications are all that are driven, the most used first.
var applications = []*application{smokeping, nagios, munin, omega, nut, mapserver, man2html, info2www, namazu, htdig, dwww, ikiwiki, languages, cgipm, php, awstats, rrdcgi, gitweb, hgweb, cvsweb, backuppc, sqwebmail, fossil, fossilSCGI, linkchecker}
