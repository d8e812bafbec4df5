//! What the seeded providers rent out.

/// A line of a catalogue.
pub(super) struct CatalogueItem {
    pub(super) name: &'static str,
    pub(super) quantity_total: i32,
    /// Drying, waxing, checking: minutes after each rental in which the item is blocked.
    pub(super) buffer_minutes: i32,
    /// Haléře (1/100 CZK) a day.
    pub(super) day_price_minor: i64,
}

const fn item(
    name: &'static str,
    quantity_total: i32,
    buffer_minutes: i32,
    day_price_minor: i64,
) -> CatalogueItem {
    CatalogueItem { name, quantity_total, buffer_minutes, day_price_minor }
}

pub(super) const OUTDOOR_SHOP: &[CatalogueItem] = &[
    item("Touring skis Atomic Backland 85", 8, 120, 69_000),
    item("Touring boots Scarpa Maestrale", 10, 120, 35_000),
    item("Climbing skins, cut to length", 12, 60, 9_000),
    item("Avalanche set: transceiver, shovel, probe", 12, 30, 25_000),
    item("Airbag backpack Mammut 35 l", 4, 60, 45_000),
    item("Snowshoes MSR Lightning", 9, 60, 22_000),
    item("Crampons Petzl Vasak", 6, 30, 15_000),
    item("Ice axe Grivel Munro", 6, 15, 9_000),
    item("Via ferrata set with helmet", 15, 30, 19_000),
    item("Three-season tent MSR Hubba NX 2", 5, 240, 29_000),
    item("Down sleeping bag, comfort -5 °C", 7, 720, 18_000),
    item("Gas stove with pot set", 10, 30, 8_000),
    item("Pack raft MRS Microraft", 3, 180, 89_000),
    item("Whitewater paddle, four parts", 6, 30, 12_000),
    item("Dry suit Kokatat", 4, 360, 49_000),
];

pub(super) const MOUNTAIN_GUIDES: &[CatalogueItem] = &[
    item("Splitboard Jones Solution", 2, 120, 85_000),
    item("Glacier set: rope, harnesses, screws", 3, 60, 95_000),
    item("Satellite messenger Garmin inReach", 4, 15, 20_000),
];

pub(super) const CITY_BIKES: &[CatalogueItem] = &[item("Cargo bike Urban Arrow", 2, 30, 59_000)];
