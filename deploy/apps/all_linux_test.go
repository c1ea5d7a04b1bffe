package apps_test

// applications are all that are driven, the most used first.
var applications = []*application{smokeping, nagios, omega, nut, mapserver, man2html, info2www, namazu, htdig, languages, cgipm, php, awstats, rrdcgi, gitweb, hgweb, fossil, fossilSCGI, linkchecker}
