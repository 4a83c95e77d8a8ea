// The inside of a polygon, convex or not. A line along a coordinate axis meets the edges whose ends lie on either side
// of it; of those crossings the nearest ones bound the section, and their number on one side is odd for points inside.
#include <cmath>
#include <utility>

#include "scorematch/domains.hpp"

namespace scorematch {
namespace {

class PolygonRegion final : public Region {
  public:
    explicit PolygonRegion(std::vector<Vertex> vertices) : vertices_(std::move(vertices)) {
        vertices_.push_back(vertices_.front());
    }
    index n_features() const noexcept override { return 2; }
    double cost(index) const noexcept override { return 2.0 * static_cast<double>(n_edges()); }

    void contains(const double* x, index, double*, bool* inside) const noexcept override {
        const double* const y = x + lanes;
        double side[lanes], touched[lanes];  // 1 inside and −1 outside; 1 on an edge
        for (int l = 0; l < lanes; ++l) side[l] = touched[l] = -1;
        for (index e = 0; e < n_edges(); ++e) {
            const bool up = vertex(e).y < vertex(e + 1).y;
            const Vertex p = up ? vertex(e) : vertex(e + 1), q = up ? vertex(e + 1) : vertex(e);
            const double least = p.x < q.x ? p.x : q.x, most = p.x < q.x ? q.x : p.x;
            for (int l = 0; l < lanes; ++l) {
                // Twice the area of (p, q, point), positive on the left of the edge.
                const double area = (q.x - p.x) * (y[l] - p.y) - (x[l] - p.x) * (q.y - p.y);
                const double crossed = y[l] >= p.y ? y[l] < q.y ? area : 0.0 : 0.0;
                side[l] = crossed > 0 ? -side[l] : side[l];
                const double beside = y[l] >= p.y ? y[l] <= q.y ? area : 1.0 : 1.0;
                const double within = x[l] >= least ? x[l] <= most ? beside : 1.0 : 1.0;
                touched[l] = within == 0 ? 1.0 : touched[l];
            }
        }
        for (int l = 0; l < lanes; ++l) inside[l] = side[l] > 0 || touched[l] > 0;
    }

    void coordinate_distance(const double* x, index, double*, double* phi, double* slope) const noexcept override {
        section(x, x + lanes, &Vertex::x, &Vertex::y, phi, slope);
        section(x + lanes, x, &Vertex::y, &Vertex::x, phi + lanes, slope + lanes);
    }

    void distance(const double* x, index, double*, double* g, double* gradient) const noexcept override {
        const double* const y = x + lanes;
        double square[lanes], nearest[lanes];
        for (int l = 0; l < lanes; ++l) square[l] = HUGE_VAL;
        for (int l = 0; l < lanes; ++l) nearest[l] = 0;
        for (index e = 0; e < n_edges(); ++e) {
            const Edge edge = edge_at(e);
            for (int l = 0; l < lanes; ++l) {
                const Way way = way_to(edge, x[l], y[l]);
                const double size = way.across * way.across + way.beyond * way.beyond;
                nearest[l] = size < square[l] ? static_cast<double>(e) : nearest[l];
                square[l] = size < square[l] ? size : square[l];
            }
        }
        for (int l = 0; l < lanes; ++l) {
            const Edge edge = edge_at(static_cast<index>(nearest[l]));
            const Way way = way_to(edge, x[l], y[l]);
            g[l] = way.beyond == 0 ? std::fabs(way.across) : std::hypot(way.across, way.beyond);
            // Beside an edge the gradient is its normal; off its ends it points away from the vertex.
            const bool corner = way.beyond != 0;
            const double sine = corner ? way.across / g[l] : 1.0, cosine = corner ? way.beyond / g[l] : 0.0;
            gradient[l] = cosine * edge.along_x - sine * edge.along_y;
            gradient[lanes + l] = cosine * edge.along_y + sine * edge.along_x;
        }
    }

  private:
    index n_edges() const noexcept { return static_cast<index>(vertices_.size()) - 1; }
    Vertex vertex(index e) const noexcept { return vertices_[static_cast<std::size_t>(e)]; }

    // Where an edge begins, the unit vector along it, and its length.
    struct Edge {
        Vertex from;
        double along_x, along_y, length;
    };
    Edge edge_at(index e) const noexcept {
        const Vertex p = vertex(e), q = vertex(e + 1);
        const double length = std::hypot(q.x - p.x, q.y - p.y);
        return {p, (q.x - p.x) / length, (q.y - p.y) / length, length};
    }

    // From the nearest point of an edge to a point: at a right angle to the edge, and beyond its ends.
    struct Way {
        double across, beyond;
    };
    static Way way_to(const Edge& edge, double x, double y) noexcept {
        const double dx = x - edge.from.x, dy = y - edge.from.y;
        const double along = dx * edge.along_x + dy * edge.along_y;
        const double before = along < 0 ? along : 0, after = along > edge.length ? along - edge.length : 0;
        return {dy * edge.along_x - dx * edge.along_y, before + after};
    }

    // The section along one axis; u runs along it and v across.
    void section(const double* u, const double* v, double Vertex::* along, double Vertex::* across, double* phi,
                 double* slope) const noexcept {
        double upwards[lanes], downwards[lanes], side[lanes];
        for (int l = 0; l < lanes; ++l) upwards[l] = downwards[l] = HUGE_VAL;
        for (int l = 0; l < lanes; ++l) side[l] = -1;  // 1 where the number of crossings above the point is odd
        for (index e = 0; e < n_edges(); ++e) {
            const Vertex p = vertex(e), q = vertex(e + 1);
            if (p.*across == q.*across) continue;
            const double ratio = (q.*along - p.*along) / (q.*across - p.*across);
            const double from_along = p.*along, from_across = p.*across;
            // Crossed where the lower end is not above the line and the upper end is.
            const double low = p.*across < q.*across ? p.*across : q.*across;
            const double high = p.*across < q.*across ? q.*across : p.*across;
            for (int l = 0; l < lanes; ++l) {
                const double way = from_along - u[l] + (v[l] - from_across) * ratio;
                const double met = v[l] >= low ? v[l] < high ? way : NAN : NAN;
                const double above = met >= 0 ? met : HUGE_VAL, below = met <= 0 ? -met : HUGE_VAL;
                upwards[l] = above < upwards[l] ? above : upwards[l];
                downwards[l] = below < downwards[l] ? below : downwards[l];
                side[l] = met > 0 ? -side[l] : side[l];
            }
        }
        for (int l = 0; l < lanes; ++l) {
            // On the boundary itself, 0 both ways, it is the side that tells where the inside is.
            const bool up = upwards[l] < downwards[l] || (upwards[l] == 0 && side[l] < 0);
            const double nearest = up ? upwards[l] : downwards[l];
            // A line along an edge crosses none where the polygon lies on one side of it.
            phi[l] = nearest == HUGE_VAL ? 0.0 : nearest;
            slope[l] = up ? -1.0 : 1.0;
        }
    }

    std::vector<Vertex> vertices_;  // the first again at the end
};

}  // namespace

std::unique_ptr<Region> make_polygon(std::vector<Vertex> vertices) {
    return std::make_unique<PolygonRegion>(std::move(vertices));
}

}  // namespace scorematch
