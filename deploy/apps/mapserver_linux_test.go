package apps_test

import (
	"net/http"
	"strings"
	"testing"
)

// mapserver is a program in C++ behind a link. It draws maps, here of three points.
var mapserver = &application{
	name:     "MapServer",
	packages: "cgi-mapserver",
	recipe:   true,
	static: `location /maps/ { alias /srv/maps/images/; }
`,
	prepare: func(t *testing.T) {
		write(t, "/etc/mapserver.conf", "CONFIG\nENV\nMS_MAP_PATTERN \"^/srv/maps/[a-z]+[.]map$\"\nEND\nEND\n", 0o644)
		write(t, "/srv/maps/browse.html", "<!-- MapServer Template -->\n<p>The map has [mapsize] pixels: <img src=\"[img]\">\n", 0o644)
		write(t, "/srv/maps/point.html", "<!-- MapServer Template -->\n<p>There is [name].\n", 0o644)
		write(t, "/srv/maps/places.csv", "x,y,name\n5,5,Ashby\n10,5,Barton\n15,8,Corby\n", 0o644)
		write(t, "/srv/maps/places.map", `MAP
NAME "places"
SIZE 400 200
EXTENT 0 0 20 10
UNITS DD
IMAGETYPE "png"
PROJECTION "init=epsg:4326" END
SYMBOL NAME "circle" TYPE ELLIPSE FILLED TRUE POINTS 1 1 END END
WEB
	TEMPLATE "browse.html"
	IMAGEPATH "/srv/maps/images/"
	IMAGEURL "/maps/"
	METADATA
		"ows_title" "Places"
		"ows_srs" "EPSG:4326"
		"ows_enable_request" "*"
		"ows_onlineresource" "http://localhost/cgi-bin/mapserv?map=/srv/maps/places.map"
	END
END
LAYER
	NAME "towns"
	TYPE POINT
	STATUS DEFAULT
	CONNECTIONTYPE OGR
	CONNECTION "<OGRVRTDataSource><OGRVRTLayer name='places'><SrcDataSource>/srv/maps/places.csv</SrcDataSource><GeometryType>wkbPoint</GeometryType><LayerSRS>EPSG:4326</LayerSRS><GeometryField encoding='PointFromColumns' x='x' y='y'/></OGRVRTLayer></OGRVRTDataSource>"
	DATA "places"
	PROJECTION "init=epsg:4326" END
	TEMPLATE "point.html"
	TOLERANCE 20
	METADATA "ows_title" "Towns" "gml_include_items" "all" "wms_include_items" "all" "gml_featureid" "name" END
	CLASS STYLE SYMBOL "circle" SIZE 12 COLOR 200 0 0 END END
END
END
`, 0o644)
		shell(t, "mkdir /srv/maps/images; chown www-data /srv/maps/images")
	},
	visit: func(t *testing.T, c *client) {
		const program = "/cgi-bin/mapserv?map=/srv/maps/places.map"
		c.get("/cgi-bin/mapserv").want(http.StatusOK, "text/html", "No query information")
		page := c.get(program+"&mode=browse").want(http.StatusOK, "text/html", "The map has 400 200 pixels")
		c.get(page.find(`img src="(/maps/[^"]*)"`)).wantImage("image/png")
		c.get(program+"&mode=query&mapxy=10+5&layer=towns").want(http.StatusOK, "text/html", "There is Barton.")

		const wms = program + "&service=WMS&version=1.1.1"
		c.get(wms+"&request=GetCapabilities").want(http.StatusOK, "application/vnd.ogc.wms_xml", "<Title>Towns</Title>")
		const getMap = "&layers=towns&styles=&srs=EPSG:4326&bbox=0,0,20,10&width=1600&height=800"
		c.get(wms + "&request=GetMap&format=image/png" + getMap).wantImage("image/png")
		c.get(wms+"&request=GetFeatureInfo&query_layers=towns&info_format=text/plain&x=400&y=400"+getMap).want(http.StatusOK, "text/plain", "Ashby")
		c.get(wms+"&request=GetMap&format=image/png&layers=missing").want(http.StatusOK, "application/vnd.ogc.se_xml", "ServiceException")

		// A query in XML, as a body.
		const query = `<GetFeature xmlns="http://www.opengis.net/wfs" service="WFS" version="1.1.0" maxFeatures="2"><Query typeName="towns"/></GetFeature>`
		c.send("POST", program, strings.NewReader(query), "Content-Type: text/xml").want(http.StatusOK, "text/xml", "Ashby", "Barton").lacks("Corby")
	},
	varies: []variation{
		{`places[0-9a-f_]+\.png`, "the names of images have the time"},
		{`timeStamp="[^"]*"`, "answers have the time"},
		httpDates, fileTags,
	},
}

func TestMapServer(t *testing.T) { drive(t, mapserver) }
