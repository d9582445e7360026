//! Channels: their Choi states, records of them and fits, against closed forms.

use ansatz::Seed;
use ansatz::circuit::Channel;
use ansatz::data::{process_shots_from_bytes, read_process_shots};
use ansatz::io::{Extra, load_process, save_process, write_process_shots};
use ansatz::tomography::{
    Lpdo, Measurement, Noise, Process, ProcessSettings, Readout, Settings, fit_process, fit_process_dense,
    next_settings, pauli_sum, process_nll, simulate_process,
};
use ndarray::{Array2, array};
use num_complex::Complex64;

fn c(re: f64) -> Complex64 {
    Complex64::new(re, 0.0)
}

fn known(channel: &Channel) -> Process {
    let d = 1usize << channel.qubits();
    let kraus: Vec<Array2<Complex64>> =
        channel.kraus().iter().map(|k| Array2::from_shape_fn((d, d), |(i, j)| k.entries()[i * d + j])).collect();
    Process::from_kraus(&kraus, &vec![2; channel.qubits()]).unwrap()
}

fn cnot() -> Process {
    let (o, l) = (c(0.0), c(1.0));
    let matrix = array![[l, o, o, o], [o, l, o, o], [o, o, o, l], [o, o, l, o]];
    Process::from_kraus(&[matrix], &[2, 2]).unwrap()
}

fn vector(entries: &[Complex64]) -> Lpdo {
    Lpdo::from_vector(entries, &vec![2; entries.len().trailing_zeros() as usize]).unwrap()
}

#[test]
fn channels_act_as_their_closed_forms() {
    let damping = known(&Channel::amplitude_damping(0.3).unwrap());
    let out = damping.apply(&vector(&[c(0.6), c(0.8)])).unwrap().density().unwrap();
    // Populations 1 - (1 - g) p and coherence times sqrt(1 - g).
    assert!((out[[1, 1]].re - 0.7 * 0.64).abs() < 1e-12 && (out[[0, 1]].re - 0.7f64.sqrt() * 0.48).abs() < 1e-12);
    // Two in a row lose 1 - (1 - g)^2.
    let twice = damping.then(&damping).unwrap();
    let direct = known(&Channel::amplitude_damping(1.0 - 0.7 * 0.7).unwrap());
    assert!((twice.fidelity(&direct).unwrap() - 1.0).abs() < 1e-9);
    assert!(twice.deviation().unwrap() < 1e-7);
    // Depolarising: the process fidelity with the identity is 1 - 3 p / 4 where rho -> (1 - p) rho + p / 2.
    let depolarising = Channel::depolarising(1, 0.2).unwrap();
    let f: f64 = depolarising.kraus()[0].entries().iter().step_by(3).map(|x| x.re).sum::<f64>().powi(2) / 4.0;
    let identity = Process::from_kraus(&[Array2::eye(2)], &[2]).unwrap();
    assert!((known(&depolarising).fidelity(&identity).unwrap() - f).abs() < 1e-9);
    // A CNOT makes of |+>|0> a Bell state.
    let bell = cnot().apply(&vector(&[c(0.5f64.sqrt()), c(0.0), c(0.5f64.sqrt()), c(0.0)])).unwrap();
    let zz: f64 = pauli_sum(&bell, &"Z0 Z1".parse().unwrap()).unwrap();
    let xx: f64 = pauli_sum(&bell, &"X0 X1 + 0.5*Y0 Y1 + 2".parse().unwrap()).unwrap();
    assert!((zz - 1.0).abs() < 1e-12 && (xx - 2.5).abs() < 1e-12);
    assert!((cnot().average_fidelity(0.75) - 0.8).abs() < 1e-12);
    // Side by side, and there and back by the Choi matrix.
    let pair = Process::side_by_side(&[damping.clone(), identity]).unwrap();
    let back = Process::from_choi(&pair.choi_matrix().unwrap(), &[2, 2]).unwrap();
    assert!((back.fidelity(&pair).unwrap() - 1.0).abs() < 1e-9);
    let half = array![[c(0.7), c(0.0)], [c(0.0), c(0.7)]];
    assert!(Process::from_kraus(&[half], &[2]).unwrap_err().to_string().contains("sum K^H K"));
}

#[test]
fn shots_behind_a_channel_follow_its_probabilities() {
    let process = known(&Channel::amplitude_damping(0.4).unwrap());
    let record =
        simulate_process(&process, &Settings::RandomPaulis, &Settings::AllPaulis, 60_000, &Noise::default(), Seed(2))
            .unwrap();
    assert_eq!(record.shots().rows(), 6 * 3 * 2 - 1, "all but a 0 that is read as 1");
    // |1> read in Z: 0 with probability g.
    let (mut zero, mut all) = (0.0, 0.0);
    for row in 0..record.shots().rows() {
        let setting = record.shots().setting(row);
        let z = |m: u32| record.shots().measurements()[m as usize] == Measurement::Z;
        if z(setting[0]) && z(setting[1]) && record.shots().outcome(row)[0] == 1 {
            let n = record.shots().counts()[row] as f64;
            all += n;
            zero += if record.shots().outcome(row)[1] == 0 { n } else { 0.0 };
        }
    }
    assert!((zero / all - 0.4).abs() < 4.0 * (0.24f64 / all).sqrt(), "{}", zero / all);
}

#[test]
fn fits_find_known_channels_and_preserve_the_trace() {
    // Least fidelities by the number of shots: each of the 12 parameters is known to 0.015 or so, against eigenvalues of 0.05.
    let cases = [
        ("depolarising", known(&Channel::depolarising(1, 0.2).unwrap()), 1, 4, 0.99),
        ("damping", known(&Channel::amplitude_damping(0.3).unwrap()), 1, 2, 0.99),
        ("cnot", cnot(), 2, 1, 0.998),
    ];
    for (name, truth, bond, purification, least) in cases {
        let record = simulate_process(
            &truth,
            &Settings::RandomPaulis,
            &Settings::RandomPaulis,
            8000,
            &Noise::default(),
            Seed(3),
        )
        .unwrap();
        let fit = fit_process(&record, &ProcessSettings::new(bond, purification), None, &mut |_| true).unwrap();
        let f = fit.process.fidelity(&truth).unwrap();
        assert!(f > least, "{name}: {f}");
        assert!(fit.deviation <= 1e-4 && fit.process.deviation().unwrap() <= 1e-4, "{name}: {}", fit.deviation);
        // By chance the records fit no channel better than the best one, the truth included.
        let at_truth = process_nll(&truth, &record, None).unwrap();
        assert!(fit.nll <= at_truth + 1e-5, "{name}: {} {at_truth}", fit.nll);
        let dense = fit_process_dense(&record, None).unwrap();
        if purification > 1 {
            assert!((dense.nll - fit.nll).abs() < 1e-4, "{name}: {} {}", dense.nll, fit.nll);
            let same = dense.process.fidelity(&fit.process).unwrap();
            assert!(same > 0.999, "{name}: {same}");
        } else {
            assert!(dense.nll <= fit.nll + 1e-4);
        }
        // More shots go on from there.
        let again = fit_process(&record, &ProcessSettings::new(bond, purification), Some(&fit.process), &mut |_| true);
        assert!((again.unwrap().nll - fit.nll).abs() < 1e-4);
    }
}

#[test]
fn a_detector_with_errors_is_told_from_the_channel() {
    let readout = Readout::uniform(1, 0.05, 0.05).unwrap();
    let noise = Noise { depolarising: 0.0, readout: Some(readout.clone()) };
    let truth = Process::from_kraus(&[Array2::eye(2)], &[2]).unwrap();
    let record =
        simulate_process(&truth, &Settings::RandomPaulis, &Settings::RandomPaulis, 20_000, &noise, Seed(4)).unwrap();
    let fit = |readout| {
        let mut settings = ProcessSettings::new(1, 2);
        settings.chain.readout = readout;
        fit_process(&record, &settings, None, &mut |_| true).unwrap().process.fidelity(&truth).unwrap()
    };
    let (with, without) = (fit(Some(readout)), fit(None));
    assert!(with > 0.99 && without < 0.94, "{with} {without}");
}

#[test]
fn records_of_channels_are_read_and_written() {
    let truth = cnot();
    let record =
        simulate_process(&truth, &Settings::RandomPaulis, &Settings::RandomPaulis, 200, &Noise::default(), Seed(5))
            .unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["r.csv", "r.json", "r.npz", "r.txt"] {
        let path = folder.path().join(name);
        write_process_shots(&path, &record).unwrap();
        assert_eq!(read_process_shots(&path.to_string_lossy()).unwrap().shots(), record.shots(), "{name}");
    }
    let text = "input,setting,outcome,count\n0+,XY,01,3\nrl,ZZ,11,2\n";
    let read = process_shots_from_bytes("r.csv", text.as_bytes()).unwrap();
    assert_eq!((read.sites(), read.shots().total()), (2, 5));
    let same = process_shots_from_bytes("r.txt", b"0+ XY 01 3\nrl ZZ 11 2\n").unwrap();
    assert_eq!(read.shots(), same.shots());
    for (text, word) in [
        ("input,setting,outcome\n0+,X,01\n", "line 2"),
        ("input,setting,outcome\n0?,XY,01\n", "is no state"),
        ("input,setting\n0+,XY\n", "outcome"),
        ("setting,outcome\nXYZ,010\n", "even number"),
        ("input,setting,outcome,count\n0+,XY,01,-1\n", "negative"),
        ("input,setting,outcome,count\n", "no shots"),
    ] {
        let e = process_shots_from_bytes("r.csv", text.as_bytes()).unwrap_err().to_string();
        assert!(e.contains(word) && !e.contains('\n'), "{text:?}: {e}");
    }
    let path = folder.path().join("c.ansatz");
    save_process(&path, &truth, &Extra::default()).unwrap();
    assert!((load_process(&path).unwrap().0.fidelity(&truth).unwrap() - 1.0).abs() < 1e-12);
}

#[test]
fn the_setting_that_tells_most_comes_first() {
    let z = |m: Measurement| vec![m];
    // |0> or |1>: a shot of Z tells one from the other, ln 2 nats, X and Y nothing.
    let states = [vector(&[c(1.0), c(0.0)]), vector(&[c(0.0), c(1.0)])];
    let candidates = [z(Measurement::X), z(Measurement::Z), z(Measurement::Y), z(Measurement::Sic)];
    let ranked = next_settings(&states, &candidates, None, Seed(1)).unwrap();
    assert_eq!(ranked[0].setting, z(Measurement::Z));
    assert!((ranked[0].information - 2f64.ln()).abs() < 1e-12);
    assert_eq!(ranked[1].setting, z(Measurement::Sic));
    assert!(ranked[2].information.abs() < 1e-12 && ranked[3].information.abs() < 1e-12);
    // Outcomes that are drawn tell the same as all of them: eleven qubits, of which the first tells.
    let wide = |bit: usize| {
        let mut v = vec![c(0.0); 1 << 11];
        v[bit << 10] = c(1.0);
        vector(&v)
    };
    let ranked =
        next_settings(&[wide(0), wide(1)], &[vec![Measurement::Z; 11], vec![Measurement::X; 11]], None, Seed(1));
    let ranked = ranked.unwrap();
    assert_eq!(ranked[0].setting[0], Measurement::Z);
    assert!((ranked[0].information - 2f64.ln()).abs() < 1e-9 && ranked[1].information.abs() < 1e-9);
    assert!(next_settings(&states[..1], &candidates, None, Seed(1)).is_err());
}
